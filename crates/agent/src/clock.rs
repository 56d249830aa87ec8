//! Time, as the agent sees it: its own clock, the time since boot, and what it knows for certain.

use std::ops::ControlFlow;
use std::time::Duration;

use minicbor::{Decode, Encode};
use opencpm_domain::{Span, Timestamp};
use rustix::time::{ClockId, Timespec, clock_gettime};

/// A difference to the server's clock that is worth telling the operator.
pub const SKEW: Span = Span::from_secs(5 * 60);

/// Where time comes from and how it is waited for. Tests bring their own.
pub trait Clock {
    /// The machine's clock. It may be wrong and may jump.
    fn now(&self) -> Timestamp;

    /// Time since the machine started, sleep included. Never jumps.
    fn since_boot(&self) -> Span;

    /// Waits between two connections. `Break` ends the agent's loop.
    fn pause(&self, span: Span) -> ControlFlow<()>;
}

/// The machine's own clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(micros(clock_gettime(ClockId::Realtime)))
    }

    fn since_boot(&self) -> Span {
        Span::from_micros(micros(clock_gettime(ClockId::Boottime)))
    }

    fn pause(&self, span: Span) -> ControlFlow<()> {
        std::thread::sleep(duration(span));
        ControlFlow::Continue(())
    }
}

/// A span for the standard library.
pub fn duration(span: Span) -> Duration {
    Duration::from_micros(span.as_micros())
}

/// A clock before 1970 counts as 1970.
fn micros(time: Timespec) -> u64 {
    let (secs, nanos) = (u64::try_from(time.tv_sec), u64::try_from(time.tv_nsec));
    secs.unwrap_or(0).saturating_mul(1_000_000).saturating_add(nanos.unwrap_or(0) / 1_000)
}

/// A point in one run of the machine, so that time can be measured across a wrong clock.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Moment {
    /// Random at each boot.
    #[n(0)]
    pub boot: String,
    /// Time since that boot.
    #[cbor(n(1), with = "opencpm_protocol::wire")]
    pub since_boot: Span,
}

impl Moment {
    /// Time that has surely passed from here to `later`: after a reboot only the time since then
    /// is certain.
    pub fn until(&self, later: &Self) -> Span {
        let same = self.boot == later.boot && self.since_boot <= later.since_boot;
        let before = if same { self.since_boot.as_micros() } else { 0 };
        Span::from_micros(later.since_boot.as_micros() - before)
    }
}

/// A time that is known to have passed: somebody whom the agent trusts signed or sealed it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct TimeMark {
    /// The authenticated time.
    #[cbor(n(0), with = "opencpm_protocol::wire")]
    pub at: Timestamp,
    /// When it was learned.
    #[n(1)]
    pub learned: Moment,
}

impl TimeMark {
    /// The earliest that it can be at the moment `now`.
    pub fn earliest(&self, now: &Moment) -> Timestamp {
        self.at + self.learned.until(now)
    }
}

/// The agent's time: the later of its own clock and what the mark allows.
pub fn agent_time(own: Timestamp, mark: Option<&TimeMark>, now: &Moment) -> Timestamp {
    mark.map_or(own, |mark| mark.earliest(now).max(own))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(boot: &str, secs: u64) -> Moment {
        Moment { boot: boot.into(), since_boot: Span::from_secs(secs) }
    }

    #[test]
    fn a_dead_clock_is_carried_by_the_last_authenticated_time() {
        let mark = TimeMark { at: Timestamp::from_secs(1_000), learned: moment("a", 50) };
        let dead = Timestamp::from_secs(3);
        let now = moment("a", 80);
        assert_eq!(agent_time(dead, Some(&mark), &now), Timestamp::from_secs(1_030));
        let rebooted = moment("b", 20);
        assert_eq!(agent_time(dead, Some(&mark), &rebooted), Timestamp::from_secs(1_020));
    }

    #[test]
    fn a_good_clock_is_believed() {
        let mark = TimeMark { at: Timestamp::from_secs(1_000), learned: moment("a", 50) };
        let own = Timestamp::from_secs(5_000);
        assert_eq!(agent_time(own, Some(&mark), &moment("a", 60)), own);
        assert_eq!(agent_time(own, None, &moment("a", 60)), own);
    }

    #[test]
    fn a_boot_id_that_does_not_change_with_the_boot_shortens_time_and_never_lengthens_it() {
        assert_eq!(moment("a", 50).until(&moment("a", 10)), Span::from_secs(10));
    }
}
