//! How long to wait before another try.

use crate::Span;

/// Exponential backoff with full jitter: anything from nothing to a limit that doubles from
/// `first` with each failure, up to `last`. So those who lost the same thing at the same moment
/// do not come back at one moment. `random` is any number, each as likely.
pub fn full_jitter(first: Span, last: Span, failures: u32, random: u64) -> Span {
    let doubled = first.as_micros().saturating_mul(1_u64.checked_shl(failures).unwrap_or(u64::MAX));
    jitter(Span::from_micros(doubled).min(last), random)
}

/// Anything from nothing to `limit`. `random` is any number, each as likely.
pub fn jitter(limit: Span, random: u64) -> Span {
    Span::from_micros(random % limit.as_micros().saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Span = Span::from_secs(1);
    const LAST: Span = Span::from_secs(300);

    #[test]
    fn waits_stay_below_a_limit_that_doubles_up_to_the_last() {
        for failures in (0..100).chain([u32::MAX]) {
            let limit = Span::from_secs(1 << failures.min(20)).min(LAST);
            for random in [0, 1, 7_777_777, u64::MAX] {
                assert!(full_jitter(FIRST, LAST, failures, random) <= limit);
            }
            assert_eq!(full_jitter(FIRST, LAST, failures, limit.as_micros()), limit);
        }
    }
}
