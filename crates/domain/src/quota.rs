//! How many requests a caller may make: a rule over the times at which they came.

use crate::{Span, Timestamp};

/// A minute: the unit of every quota (contract 2.6).
const MINUTE: Span = Span::from_secs(60);

/// So many requests a minute: as many at once, and then one more each time that its share of a
/// minute has passed. This is the generic cell rate algorithm (ITU-T I.371, annex A) with a
/// tolerance of a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    per_minute: u32,
}

impl Quota {
    /// The most that can be told apart.
    pub const MOST: u32 = 1_000_000;

    /// From 1 to [`Self::MOST`] requests a minute.
    pub const fn per_minute(requests: u32) -> Option<Self> {
        match requests {
            1..=Self::MOST => Some(Self { per_minute: requests }),
            _ => None,
        }
    }

    /// The use of a quota after one more request at this time; `None` when it is used up. Nothing
    /// is used by a request that is refused.
    pub fn one_more(self, used: QuotaUsed, now: Timestamp) -> Option<QuotaUsed> {
        let share = Span::from_micros(MINUTE.as_micros() / u64::from(self.per_minute));
        // Further ahead it can only be when the clock was set back: that must keep nobody out.
        let is_known = used.paid_until <= now + MINUTE;
        let next = if is_known { used.paid_until.max(now) } else { now } + share;
        (next <= now + MINUTE).then_some(QuotaUsed { paid_until: next })
    }
}

/// What was used of a quota. The default: nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct QuotaUsed {
    /// When everything that was used has come back.
    paid_until: Timestamp,
}

impl QuotaUsed {
    /// What a ledger remembered.
    pub const fn until(paid_until: Timestamp) -> Self {
        Self { paid_until }
    }

    /// When everything that was used has come back: what a ledger has to remember.
    pub const fn paid_until(self) -> Timestamp {
        self.paid_until
    }

    /// Whether this is as good as nothing, so that it need not be remembered.
    pub fn is_nothing(self, now: Timestamp) -> bool {
        self.paid_until <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn at(millis: u64) -> Timestamp {
        NOW + Span::from_micros(millis * 1_000)
    }

    #[test]
    fn a_minutes_worth_is_let_through_at_once_and_then_one_with_each_share_of_a_minute() {
        let quota = Quota::per_minute(60).unwrap();
        let mut used = QuotaUsed::default();
        for _ in 0..60 {
            used = quota.one_more(used, NOW).unwrap();
        }
        assert_eq!(quota.one_more(used, NOW), None);
        assert_eq!(quota.one_more(used, at(999)), None);
        used = quota.one_more(used, at(1_000)).unwrap();
        assert_eq!(quota.one_more(used, at(1_999)), None);
        assert!(!used.is_nothing(at(60_999)) && used.is_nothing(at(61_000)));
    }

    #[test]
    fn a_clock_that_was_set_back_keeps_nobody_out() {
        let quota = Quota::per_minute(1).unwrap();
        let used = quota.one_more(QuotaUsed::default(), NOW).unwrap();
        assert_eq!(quota.one_more(used, NOW), None);
        let back = Timestamp::from_secs(1_700_000_000);
        let used = quota.one_more(used, back).unwrap();
        assert_eq!(quota.one_more(used, back), None);
    }

    #[test]
    fn a_quota_of_nothing_is_none() {
        assert!(Quota::per_minute(0).is_none());
        assert!(Quota::per_minute(Quota::MOST + 1).is_none());
    }

    proptest! {
        #[test]
        fn in_no_minute_more_than_twice_the_quota_comes_through(
            per_minute in 1_u32..50, waits in proptest::collection::vec(0_u64..5_000, 1..300),
        ) {
            let quota = Quota::per_minute(per_minute).unwrap();
            let (mut used, mut now, mut through) = (QuotaUsed::default(), 0, Vec::new());
            for wait in waits {
                now += wait;
                if let Some(more) = quota.one_more(used, at(now)) {
                    used = more;
                    through.push(now);
                }
                let minute = through.iter().filter(|time| **time + 60_000 > now).count();
                prop_assert!(minute <= 2 * per_minute as usize);
            }
        }
    }
}
