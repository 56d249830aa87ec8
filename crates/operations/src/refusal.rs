//! How failures of the ports look to a caller.

use opencpm_domain::{Condition, Refusal};

use crate::clock_check::ClocksApart;
use crate::port::{KeysError, QueueError, StoreError};

/// A store that fails refuses the request; the details go to the log, not to the caller.
pub(crate) fn store_refusal(error: StoreError) -> Refusal {
    tracing::error!(error = &error as &dyn std::error::Error, "the store failed");
    Condition::StoreUnavailable.into()
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
