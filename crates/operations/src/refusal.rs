//! How failures of the ports look to a caller.

use opencpm_domain::{Condition, Refusal};

use crate::clock_check::ClocksApart;
use crate::port::{KeysError, QueueError, StoreError};

/// A store that fails refuses the request; the details go to the log, not to the caller.
pub(crate) fn store_refusal(error: StoreError) -> Refusal {
    tracing::error!(error = &error as &dyn std::error::Error, "the store failed");
    Condition::StoreUnavailable.into()
}

/// The same for a change. Where it may have been made all the same, the caller hears it, and what
/// is safe to do.
pub(crate) fn change_refusal(error: StoreError) -> Refusal {
    if !error.is_outcome_unknown() {
        return store_refusal(error);
    }
    tracing::error!(error = &error as &dyn std::error::Error, "the outcome of a change is unknown");
    let told = "the store failed at the last step: whether this was accepted is not known. The same \
                signed request may be sent again; look before you make a new one";
    Refusal::new(Condition::StoreUnavailable, told)
}

/// A node that cannot date a job refuses it; the caller hears why, since sending it again to another
/// node helps.
pub(crate) fn clock_refusal(apart: ClocksApart) -> Refusal {
    tracing::error!("{apart}");
    Refusal::new(Condition::StoreUnavailable, apart.to_string())
}

/// A broker that is away refuses the request before anything is written.
pub(crate) fn queue_refusal(error: QueueError) -> Refusal {
    tracing::error!(error = &error as &dyn std::error::Error, "the queue failed");
    Condition::BrokerUnavailable.into()
}

/// A key that does not do its work is a defect.
pub(crate) fn keys_refusal(error: KeysError) -> Refusal {
    tracing::error!(error = &error as &dyn std::error::Error, "a key failed");
    Condition::ServerBug.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::OutcomeUnknown;

    #[test]
    fn a_change_that_may_have_been_made_is_not_said_to_be_refused() {
        let lost = || StoreError::Unavailable("cut off".into());
        assert_eq!(change_refusal(lost()), Condition::StoreUnavailable.into());
        let unknown = StoreError::Unavailable(Box::new(OutcomeUnknown(Box::new(lost()))));
        let refusal = change_refusal(unknown);
        assert_eq!(refusal.condition, Condition::StoreUnavailable);
        assert!(refusal.message.contains("not known"), "{}", refusal.message);
    }
}
