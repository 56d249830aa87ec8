//! Times as the API writes them: `YYYY-MM-DD HH:MM:SS`, without a zone (contract section 3).

use jiff::civil::{Date, DateTime};
use jiff::tz::Offset;
use opencpm_domain::{Span, Timestamp};

/// What a date or a time of a request stands for: a day or a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Its beginning.
    pub(crate) from: Timestamp,
    /// The beginning of the next one.
    pub(crate) before: Timestamp,
}

impl Moment {
    /// Reads `YYYY-MM-DD HH:MM:SS`; `None` for anything else. Before 1970 is 1970.
    pub(crate) fn second(text: &str, offset: Offset) -> Option<Self> {
        let (date, time) = text.split_once(' ')?;
        let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
        let parts = [hour, minute, second].map(i8::try_from);
        let [Ok(hour), Ok(minute), Ok(second)] = parts else { return None };
        let time = jiff::civil::Time::new(hour, minute, second, 0).ok()?;
        let from = instant(read_date(date)?.to_datetime(time), offset)?;
        Some(Self { from, before: from + Span::from_secs(1) })
    }

    /// Reads `YYYY-MM-DD`, or a second as above.
    pub(crate) fn day(text: &str, offset: Offset) -> Option<Self> {
        if text.contains(' ') {
            return Self::second(text, offset);
        }
        Self::of_date(read_date(text)?, offset)
    }

    /// The day so many days before the one that `now` is in.
    pub(crate) fn days_ago(days: i64, now: Timestamp, offset: Offset) -> Option<Self> {
        let date = civil(now, offset)?.date();
        Self::of_date(date.checked_sub(jiff::Span::new().days(days)).ok()?, offset)
    }

    fn of_date(date: Date, offset: Offset) -> Option<Self> {
        let start = |date: Date| instant(date.to_datetime(jiff::civil::Time::midnight()), offset);
        Some(Self { from: start(date)?, before: start(date.tomorrow().ok()?)? })
    }
}

/// Writes `YYYY-MM-DD HH:MM:SS`.
pub(crate) fn text(time: Timestamp, offset: Offset) -> String {
    let Some(time) = civil(time, offset) else { return String::new() };
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02}",
        time.year(),
        time.month(),
        time.day(),
        time.hour(),
        time.minute(),
        time.second()
    )
}

/// Writes `YYYY-MM-DD` of the day in UTC.
pub(crate) fn utc_date(time: Timestamp) -> String {
    let mut day = text(time, Offset::UTC);
    day.truncate("YYYY-MM-DD".len());
    day
}

/// As [`text`]; unknown is `""` (contract 4.3).
pub(crate) fn text_or_empty(time: Option<Timestamp>, offset: Offset) -> String {
    time.map(|time| text(time, offset)).unwrap_or_default()
}

fn civil(time: Timestamp, offset: Offset) -> Option<DateTime> {
    let seconds = i64::try_from(time.as_secs()).ok()?;
    Some(offset.to_datetime(jiff::Timestamp::from_second(seconds).ok()?))
}

fn instant(time: DateTime, offset: Offset) -> Option<Timestamp> {
    let seconds = offset.to_timestamp(time).ok()?.as_second();
    Some(Timestamp::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

fn read_date(text: &str) -> Option<Date> {
    let [year, month, day] = numbers(text, '-', [4, 2, 2])?;
    Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

/// Three numbers of exactly so many digits.
fn numbers(text: &str, separator: char, digits: [usize; 3]) -> Option<[i16; 3]> {
    let mut pieces = text.split(separator);
    let mut numbers = [0; 3];
    for (number, digits) in numbers.iter_mut().zip(digits) {
        let piece = pieces.next()?;
        let exact = piece.len() == digits && piece.bytes().all(|b| b.is_ascii_digit());
        *number = piece.parse().ok().filter(|_| exact)?;
    }
    pieces.next().is_none().then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOON: Timestamp = Timestamp::from_secs(1_476_187_200);

    #[test]
    fn a_day_holds_all_of_its_seconds() {
        let day = Moment::day("2016-10-11", Offset::UTC).unwrap();
        assert_eq!(text(day.from, Offset::UTC), "2016-10-11 00:00:00");
        assert_eq!(text(day.before, Offset::UTC), "2016-10-12 00:00:00");
        assert_eq!(Moment::days_ago(1, NOON + Span::from_secs(86_400), Offset::UTC), Some(day));
    }

    #[test]
    fn the_zone_is_the_operators() {
        let china = Offset::constant(8);
        assert_eq!(text(NOON, china), "2016-10-11 20:00:00");
        assert_eq!(Moment::second("2016-10-11 20:00:00", china).unwrap().from, NOON);
    }

    #[test]
    fn other_forms_are_refused() {
        for bad in [
            "",
            "2016-10",
            "2016-1-01",
            "2016-13-01",
            "2016-02-30",
            "2016-10-11T00:00:00",
            "2016-10-11 24:00:00",
            "2016-10-11 00:00",
            "2016-10-11 00:00:00 ",
            "２016-10-11",
            "+016-10-11",
        ] {
            assert_eq!(Moment::day(bad, Offset::UTC), None, "{bad}");
        }
        assert_eq!(Moment::second("2016-10-11", Offset::UTC), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(secs in 0..253_402_207_000_u64) {
            let time = Timestamp::from_secs(secs);
            let read = Moment::second(&text(time, Offset::UTC), Offset::UTC);
            prop_assert_eq!(read.map(|m| m.from), Some(time));
        }

        #[test]
        fn any_text_is_read_or_refused(text: String) {
            let _ = Moment::day(&text, Offset::UTC);
        }
    }
}
