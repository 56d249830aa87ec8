//! What the operations need from outside. Implementations live in other crates; the composition
//! of a process picks them.

mod clock;
mod issuer;
mod keys;
mod queue;
mod quota_ledger;
mod random;
mod store;

pub use clock::Clock;
pub use issuer::{IssueError, Issued, Issuer};
pub use keys::{Keys, KeysError};
pub use queue::{Queue, QueueError, ReadyJobs, Subscription};
pub use quota_ledger::{QuotaLedger, QuotaLine};
pub(crate) use random::Generator;
pub use random::Random;
pub use store::{
    AdminChange, Administered, Bind, Change, Deliverable, DeliverableJob, DeploymentRow, Enrolled,
    Enrolment, FirstStart, FoundKey, NodeJoin, NodeJoined, OutcomeUnknown, Store, StoreError,
};
