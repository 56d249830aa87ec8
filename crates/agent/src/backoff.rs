//! How long to wait before the next connection.

use opencpm_domain::{Span, full_jitter};
use rand_core::CryptoRng;

/// Exponential backoff with full jitter: anything from nothing to the current limit, so that a
/// fleet that lost its gateway does not come back at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The first limit.
    pub const FIRST: Span = Span::from_secs(1);

    /// The last limit.
    pub const LAST: Span = Span::from_secs(5 * 60);

    /// A connection was good: the next failure is a first one.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// Trying often will not help: from now on the last limit counts, until a connection is good.
    pub fn slow_down(&mut self) {
        self.failures = u32::MAX;
    }

    /// How long to wait now; the limit doubles with each call.
    pub fn next(&mut self, rng: &mut dyn CryptoRng) -> Span {
        let wait = full_jitter(Self::FIRST, Self::LAST, self.failures, rng.next_u64());
        self.failures = self.failures.saturating_add(1);
        wait
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
    use getrandom::SysRng;
    use rand_core::UnwrapErr;

    #[test]
    fn waits_stay_below_a_limit_that_doubles_to_five_minutes() {
        let mut rng = UnwrapErr(SysRng);
        let mut backoff = Backoff::default();
        for failures in 0..100_u32 {
            let limit = 1_000_000_u64 << failures.min(20);
            let wait = backoff.next(&mut rng);
            assert!(wait <= Span::from_micros(limit).min(Backoff::LAST), "{wait:?}");
        }
        backoff.reset();
        assert!(backoff.next(&mut rng) <= Backoff::FIRST);
    }

    #[test]
    fn slowing_down_leads_to_the_last_limit_at_once() {
        let mut rng = UnwrapErr(SysRng);
        let mut backoff = Backoff::default();
        backoff.slow_down();
        let waits: Vec<_> = (0..50).map(|_| backoff.next(&mut rng)).collect();
        assert!(waits.iter().all(|wait| *wait <= Backoff::LAST));
        assert!(waits.iter().any(|wait| *wait > Span::from_secs(60)));
    }

    #[test]
    fn waits_differ() {
        let mut rng = UnwrapErr(SysRng);
        let waits: std::collections::BTreeSet<_> =
            (0..20).map(|_| Backoff { failures: 9 }.next(&mut rng)).collect();
        assert!(waits.len() > 10);
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
