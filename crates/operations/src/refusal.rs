//! How failures of the ports look to a caller.

use opencpm_domain::{Condition, Refusal};

use crate::port::{KeysError, QueueError, StoreError};

/// A store that fails refuses the request; the details go to the log, not to the caller.
pub(crate) fn store_refusal(error: StoreError) -> Refusal {
    tracing::error!(error = &error as &dyn std::error::Error, "the store failed");
    Condition::StoreUnavailable.into()
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
