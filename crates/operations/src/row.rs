//! The rows of the store, as the operations see them (design section 4).

mod account;
mod attributes;
mod device;
mod job;
mod maintenance;
mod node;
mod scope;

pub use account::{Account, ApiKey, AuditEntry, EnrolmentToken};
pub use attributes::{AttributeChanges, Attributes, Tag};
pub use device::{
    Device, DeviceAuthority, DeviceKey, DeviceOrder, DeviceQuery, DeviceSort, Identity, Page,
    ResetCandidate, ResetCandidates, Sealing, TagFilter,
};
pub use job::{
    Acceptance, DeviceProgress, Expected, Fingerprint, FirstUse, JobChange, JobRow, LogEntry,
    LogQuery, NewJob, NewTask, TaskRow, Unique, UsedNonce,
};
pub use maintenance::Maintenance;
pub use node::{Node, NodeId, NodeToken};
pub use opencpm_domain::{Binding, Connection, Lease};
pub use scope::{DeviceScope, Scope};
