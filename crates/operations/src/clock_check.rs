//! Whether this node's clock and the store's agree.
//!
//! Several nodes share one store, and each reads its own clock when it dates what it signs: a
//! node that is ahead would end other nodes' jobs before their time, and machines would take its
//! dates for theirs. A node that disagrees with the store does not act on time; the others do.

use opencpm_domain::{Span, Timestamp};

/// A job ends within so much of its deadline (design section 2.3); clocks further apart could
/// break that.
pub const TOLERANCE: Span = Span::from_secs(5);

/// This node's clock is not to be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this node's clock and the store's are {} s apart", apart.as_secs())]
pub struct ClocksApart {
    /// How far, at least.
    pub apart: Span,
}

/// Judges the time that the store told between two looks at this node's clock: however long the
/// answer took, it is no disagreement.
pub fn check(before: Timestamp, store: Timestamp, after: Timestamp) -> Result<(), ClocksApart> {
    let apart = match store {
        behind if behind < before => before.distance(behind),
        ahead if ahead > after => ahead.distance(after),
        _ => return Ok(()),
    };
    if apart <= TOLERANCE { Ok(()) } else { Err(ClocksApart { apart }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_secs(1_000 + secs)
    }

    #[test]
    fn clocks_agree_within_five_seconds_however_long_the_answer_took() {
        assert_eq!(check(at(100), at(95), at(100)), Ok(()));
        assert_eq!(check(at(100), at(105), at(100)), Ok(()));
        assert_eq!(check(at(100), at(100), at(160)), Ok(()));
        assert_eq!(check(at(100), at(165), at(160)), Ok(()));
        let apart = |secs| Err(ClocksApart { apart: Span::from_secs(secs) });
        assert_eq!(check(at(100), at(94), at(160)), apart(6));
        assert_eq!(check(at(100), at(700), at(160)), apart(540));
    }
}
