//! What the operations need from outside. Implementations live in other crates; the composition
//! of a process picks them.

mod change;
mod clock;
mod issuer;
mod keys;
mod queue;
mod quota_ledger;
mod random;
mod store;
mod store_error;

pub use change::{
    AdminChange, Administered, Change, Enrolled, Enrolment, FirstStart, NodeJoin, NodeJoined,
};
pub use clock::Clock;
pub use issuer::{IssueError, Issued, Issuer};
pub use keys::{Keys, KeysError};
pub use queue::{Queue, QueueError, ReadyJobs, Subscription};
pub use quota_ledger::{QuotaLedger, QuotaLine};
pub(crate) use random::Generator;
pub use random::Random;
pub use store::{Bind, Deliverable, DeliverableJob, DeploymentRow, FoundKey, Store};
pub use store_error::{OutcomeUnknown, StoreError};
