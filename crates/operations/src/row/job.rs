use opencpm_domain::{
    AppId, Generation, InstanceId, JobId, JobState, SecretId, Sequence, TaskId, Timestamp, Uin,
};
use opencpm_protocol::key::KeyId;
use opencpm_protocol::seal::{SealedJob, Verb};

use super::{Binding, DeviceScope};

/// What makes a signed 2.0 request unique (contract 2.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsedNonce {
    /// The key.
    pub secret_id: SecretId,
    /// Seconds since the epoch, as sent.
    pub timestamp: u64,
    /// As sent.
    pub nonce: u64,
    /// May be forgotten from then on: the timestamp has left the window on both sides.
    pub expires: Timestamp,
}

/// What makes a signed 3.0 request unique (contract 2.6): a hash of what the signature covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// SHA-256.
    pub hash: [u8; 32],
    /// May be forgotten from then on.
    pub expires: Timestamp,
}

/// What makes a signed request unique (contract 2.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unique {
    /// API 2.0: a second use is refused.
    Nonce(UsedNonce),
    /// API 3.0 and its v1: a second use answers with the first task.
    Fingerprint(Fingerprint),
}

/// What a signed request has done already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstUse {
    /// It was accepted as this task.
    Task(TaskId),
    /// It changed something, and which task it made, if any, is not kept.
    Change,
}

/// A task to be written.
#[derive(Clone, Debug)]
pub struct NewTask {
    /// Its id, proposed.
    pub task: TaskId,
    /// The account.
    pub account: AppId,
    /// The task's name in the log, such as `resetPasswd`.
    pub action: &'static str,
    /// The user.
    pub uin: Uin,
    /// When.
    pub created: Timestamp,
    /// Every job has ended by then.
    pub deadline: Timestamp,
    /// The caller's own devices; `None` for all of the account. Every device must still be inside
    /// when the task is written: it may have lost its tag.
    pub within: Option<DeviceScope>,
    /// What makes the request unique; `None` where nobody asked.
    pub unique: Option<Unique>,
    /// One for each device, in the order of the request.
    pub jobs: Vec<NewJob>,
}

/// A job to be written.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// Its id.
    pub job: JobId,
    /// The device.
    pub instance: InstanceId,
    /// Its place in the device's order.
    pub sequence: Sequence,
    /// Identity key in force.
    pub identity_generation: Generation,
    /// Sealing key used.
    pub sealing_generation: Generation,
    /// What to do.
    pub verb: Verb,
    /// When it was sealed.
    pub issued_at: Timestamp,
    /// Not to be applied later.
    pub not_after: Timestamp,
    /// Who sealed it.
    pub authority: KeyId,
    /// The sealed password.
    pub sealed: SealedJob,
    /// Ties the job to its task; made by the API role.
    pub mac: [u8; 32],
    /// What must still be so when it is written.
    pub expected: Expected,
}

/// What the sealing relied on. Besides these, the device must still be the account's, in
/// operation, running, without an open job, not retired and not quarantined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Where it is connected.
    pub binding: Binding,
    /// The highest sequence so far.
    pub highest_sequence: Sequence,
}

/// What became of a [`NewTask`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acceptance {
    /// Written, and durable.
    Accepted,
    /// The nonce was used before; nothing was written.
    Replayed,
    /// The fingerprint was used before, for this task; nothing was written.
    AcceptedBefore(TaskId),
    /// These devices changed meanwhile; nothing was written.
    Changed(Vec<InstanceId>),
    /// Another task has this id; nothing was written.
    IdTaken,
}

/// An accepted request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskRow {
    /// Its id.
    pub task: TaskId,
    /// The account.
    pub account: AppId,
    /// The task's name in the log.
    pub action: String,
    /// The user.
    pub uin: Uin,
    /// When.
    pub created: Timestamp,
    /// Every job has ended by then.
    pub deadline: Timestamp,
}

/// A job as the store has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobRow {
    /// Counts all jobs; the log shows it.
    pub number: u64,
    /// Its id.
    pub job: JobId,
    /// The task.
    pub task: TaskId,
    /// How many devices the task has.
    pub devices: u32,
    /// The device.
    pub instance: InstanceId,
    /// The account.
    pub account: AppId,
    /// Its place in the device's order.
    pub sequence: Sequence,
    /// Identity key in force at acceptance.
    pub identity_generation: Generation,
    /// Sealing key used.
    pub sealing_generation: Generation,
    /// What to do.
    pub verb: Verb,
    /// When it was sealed.
    pub issued_at: Timestamp,
    /// Not to be applied later.
    pub not_after: Timestamp,
    /// Ends without a report then.
    pub deadline: Timestamp,
    /// Who sealed it.
    pub authority: KeyId,
    /// The sealed password; `None` once the job has ended.
    pub sealed: Option<SealedJob>,
    /// Where it is.
    pub state: JobState,
    /// CBOR of `Signed<Report>`, as the machine sent it.
    pub report: Option<Vec<u8>>,
    /// Ties the job to its task.
    pub mac: [u8; 32],
    /// Grows with every change.
    pub version: u64,
}

/// A job's next state. Applied only when the version is still the expected one.
#[derive(Clone, Debug)]
pub struct JobChange {
    /// Which job.
    pub job: JobId,
    /// The version that was read.
    pub version: u64,
    /// The new state. An ended one erases the sealed password.
    pub state: JobState,
    /// Set when an attempt is about to be made.
    pub attempted: Option<Timestamp>,
    /// The signed report to keep.
    pub report: Option<Vec<u8>>,
    /// What the report tells of the device.
    pub device: Option<DeviceProgress>,
}

/// What a report changes on its device, in the same commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceProgress {
    /// Which device.
    pub instance: InstanceId,
    /// Raises the highest sequence, never lowers it.
    pub sequence: Sequence,
    /// The next sealing key; taken when its generation is higher and the identity key's
    /// generation is still this one.
    pub sealing: Option<(Generation, super::Sealing)>,
}

/// A filter of the operation log. Newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogQuery {
    /// The account.
    pub account: AppId,
    /// The device.
    pub instance: InstanceId,
    /// Start time, inclusive.
    pub from: Timestamp,
    /// Start time, exclusive.
    pub before: Timestamp,
    /// Skip so many.
    pub offset: u64,
    /// At most so many.
    pub limit: u64,
}

/// One line of the operation log: a view of a task and a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// The task.
    pub task: TaskRow,
    /// The job.
    pub job: JobRow,
}
