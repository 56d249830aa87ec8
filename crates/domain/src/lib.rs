//! The rules of OpenCPM: ids, passwords and their policy, statuses, the states of a job, reasons,
//! advice, and the table of errors.
//!
//! Pure values and functions: no I/O, no async, no clock and no randomness of its own. Time comes
//! in as an argument.

#![forbid(unsafe_code)]

mod advice;
mod backoff;
mod connection;
mod device;
mod error;
mod id;
mod job;
mod password;
mod quota;
mod reason;
mod task;
mod time;

pub use advice::Advice;
pub use backoff::{full_jitter, jitter};
pub use connection::{Binding, Connection, Lease, Unreachable};
pub use device::{
    DeviceStatus, MaintainStatus, OperateStatus, PayMode, ResetRefusal, UnknownStatus,
    check_reset_allowed,
};
pub use error::{Condition, ErrorRow, Refusal};
pub use id::{
    AppId, DeploymentId, GatewayId, Generation, InstanceId, InvalidId, JobId, SecretId, Sequence,
    TaskId, Uin, hex_to_bytes, to_hex,
};
pub use job::{Ending, Forbidden, JobState, Verdict};
pub use password::{Password, PasswordPolicy, PolicyViolation};
pub use quota::{Quota, QuotaUsed};
pub use reason::{Certainty, Reason};
pub use task::{JobStatus, TaskStatus};
pub use time::{Span, Timestamp};
