//! How long to wait before the next connection.

use opencpm_domain::{Span, jitter};
use rand_core::CryptoRng;

/// Full jitter below a limit that is the time since the first failure: anything from nothing to as
/// long as it has gone on already. So a fleet that lost its gateway does not come back at one
/// moment, and an outage is over for everybody after about as long again as it lasted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Backoff {
    /// Of the first failure, by the clock that counts from the boot.
    since: Option<Span>,
    hopeless: bool,
}

impl Backoff {
    /// The limit is not below this.
    pub const FIRST: Span = Span::from_secs(1);

    /// Nor above this.
    pub const LAST: Span = Span::from_secs(5 * 60);

    /// A connection was good: the next failure is a first one.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Trying often will not help: from now on the last limit counts, until a connection is good.
    pub fn slow_down(&mut self) {
        self.hopeless = true;
    }

    /// How long to wait after a failure, at this time since the boot.
    pub fn next(&mut self, now: Span, rng: &mut dyn CryptoRng) -> Span {
        let since = *self.since.get_or_insert(now);
        let gone_on = Span::from_micros(now.as_micros().saturating_sub(since.as_micros()));
        let limit = if self.hopeless { Self::LAST } else { gone_on.clamp(Self::FIRST, Self::LAST) };
        jitter(limit, rng.next_u64())
    }
}

/// Puts the values into a random order.
pub fn shuffle<T>(values: &mut [T], rng: &mut dyn CryptoRng) {
    for end in (1..values.len()).rev() {
        let other = rng.next_u64() % (end as u64 + 1);
        values.swap(end, usize::try_from(other).unwrap_or(end));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    use getrandom::SysRng;
    use rand_core::UnwrapErr;

    #[test]
    fn a_wait_is_no_longer_than_the_failures_have_gone_on_and_five_minutes_at_most() {
        let mut rng = UnwrapErr(SysRng);
        let mut backoff = Backoff::default();
        let lost = Span::from_secs(7_000);
        for later in [0, 1, 2, 30, 299, 300, 301, 86_400] {
            let now = Span::from_secs(lost.as_secs() + later);
            let limit = Span::from_secs(later).clamp(Backoff::FIRST, Backoff::LAST);
            let waits: BTreeSet<_> = (0..100).map(|_| backoff.next(now, &mut rng)).collect();
            assert!(waits.len() > 50, "{later}: {waits:?}");
            assert!(waits.iter().all(|wait| *wait <= limit), "{later}: {waits:?}");
            let half = Span::from_micros(limit.as_micros() / 2);
            assert!(waits.iter().any(|wait| *wait > half), "{later}: {waits:?}");
        }
        backoff.reset();
        assert!(backoff.next(Span::from_secs(200_000), &mut rng) <= Backoff::FIRST);
    }

    #[test]
    fn everybody_is_back_after_as_long_again_as_an_outage_lasted() {
        let mut rng = UnwrapErr(SysRng);
        for outage in [3, 30, 200].map(Span::from_secs) {
            for _ in 0..1_000 {
                let mut backoff = Backoff::default();
                let mut now = Span::default();
                while now < outage {
                    let wait = backoff.next(now, &mut rng);
                    now = Span::from_micros(now.as_micros() + wait.as_micros());
                }
                assert!(now.as_micros() <= 2 * outage.as_micros(), "{now:?}");
            }
        }
    }

    #[test]
    fn slowing_down_leads_to_the_last_limit_at_once() {
        let mut rng = UnwrapErr(SysRng);
        let mut backoff = Backoff::default();
        backoff.slow_down();
        let waits: Vec<_> = (0..50).map(|_| backoff.next(Span::default(), &mut rng)).collect();
        assert!(waits.iter().all(|wait| *wait <= Backoff::LAST));
        assert!(waits.iter().any(|wait| *wait > Span::from_secs(60)));
    }

    #[test]
    fn a_shuffle_loses_nothing() {
        let mut rng = UnwrapErr(SysRng);
        let mut values: Vec<_> = (0..50).collect();
        shuffle(&mut values, &mut rng);
        assert_ne!(values, (0..50).collect::<Vec<_>>());
        values.sort_unstable();
        assert_eq!(values, (0..50).collect::<Vec<_>>());
    }
}
