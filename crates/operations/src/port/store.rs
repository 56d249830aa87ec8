use std::sync::Arc;

use async_trait::async_trait;
use opencpm_domain::{
    AppId, DeploymentId, GatewayId, Generation, InstanceId, JobId, JobState, SecretId, Sequence,
    Span, TaskId, Timestamp,
};
use opencpm_protocol::key::VerifyingKey;

use super::change::{
    AdminChange, Administered, Enrolled, Enrolment, FirstStart, NodeJoin, NodeJoined,
};
use super::store_error::StoreError;
use crate::row::{
    Acceptance, Account, ApiKey, Device, DeviceKey, DeviceQuery, EnrolmentToken, FirstUse,
    JobChange, JobRow, LogEntry, LogQuery, Maintenance, NewTask, Node, NodeId, NodeToken, Page,
    ResetCandidates, Sealing, TaskRow, Unique,
};

/// The only source of truth.
///
/// Conventions for every implementation:
/// - A method is one transaction; it returns after the commit is durable. Methods that arrive
///   together may share a commit, each in a savepoint of its own.
/// - SQL is set-based: the number of statements of a method does not depend on its arguments.
/// - Rows are locked in id order. Serialization failures and deadlocks are retried inside.
/// - `now` in a result is the store's clock. Leases are judged by it, and everything that ends or
///   is forgotten with time: the clock of a single node may be wrong.
/// - No method looks inside a signed or sealed byte.
///
/// To add an implementation: a folder of its own in `opencpm-store` with the same file names as
/// its sibling, the same migrations in meaning, and one line in the contract test suite there.
#[async_trait]
pub trait Store: Send + Sync {
    /// The store's time; fails when the store takes no changes now. Cheap: asked for each look at
    /// the health of a process. Changes nothing.
    async fn check(&self) -> Result<Timestamp, StoreError>;

    // ---- the deployment ----

    /// The deployment, when the store was initialised.
    async fn deployment(&self) -> Result<Option<DeploymentRow>, StoreError>;

    /// Initialises an empty store. False, and nothing written, when it has a deployment already.
    async fn create_deployment(&self, first: FirstStart) -> Result<bool, StoreError>;

    /// Replaces the trust statement when its generation is higher.
    async fn put_statement(
        &self,
        generation: Generation,
        statement: Vec<u8>,
    ) -> Result<(), StoreError>;

    // ---- accounts, keys, tokens ----

    /// A key and what matters to each of its requests, in one statement.
    async fn api_key(&self, secret_id: &SecretId) -> Result<Option<FoundKey>, StoreError>;

    /// Whether the service is under maintenance.
    async fn maintenance(&self) -> Result<Option<Maintenance>, StoreError>;

    /// All accounts, by id.
    async fn accounts(&self) -> Result<Vec<Account>, StoreError>;

    /// Keys by secret id; of one account or of all.
    async fn api_keys(&self, account: Option<AppId>) -> Result<Vec<ApiKey>, StoreError>;

    /// Forgets temporary keys that expired so long ago by the store's clock, or longer; at most
    /// `limit`.
    async fn prune_api_keys(&self, ago: Span, limit: u32) -> Result<u64, StoreError>;

    /// The token with this hash, used up and expired ones included.
    async fn enrolment_token(&self, hash: &[u8; 32]) -> Result<Option<EnrolmentToken>, StoreError>;

    /// What this request has done already; `None` where it was not recorded.
    async fn first_use(&self, unique: &Unique) -> Result<Option<FirstUse>, StoreError>;

    /// One administrative change, with its audit entry and its replay record, or nothing at all.
    async fn administer(&self, change: AdminChange) -> Result<Administered, StoreError>;

    // ---- devices ----

    /// What a reset needs to know. Unknown ids are absent.
    async fn reset_candidates(
        &self,
        instances: &[InstanceId],
    ) -> Result<ResetCandidates, StoreError>;

    /// The device list: a page, and the number of all that match, of the same moment. `now` tells
    /// which leases are valid.
    async fn devices(&self, query: &DeviceQuery) -> Result<(Timestamp, Page<Device>), StoreError>;

    /// Identity keys, current and former. Unknown pairs are absent.
    async fn device_keys(
        &self,
        keys: &[(InstanceId, Generation)],
    ) -> Result<Vec<DeviceKey>, StoreError>;

    /// The device that has this identity key in force, for idempotent enrolment.
    async fn device_of_identity(&self, key: &VerifyingKey) -> Result<Option<Device>, StoreError>;

    /// Writes an enrolment; one use of the token is taken in the same commit.
    async fn enrol(&self, enrolment: Enrolment) -> Result<Enrolled, StoreError>;

    /// Stores sealing keys that came without a job. Returns those that are in force now: a
    /// generation must be higher, the identity generation still the same. Everything is refused
    /// unless the lease of the gateway that brings them is valid.
    async fn put_sealing_keys(
        &self,
        keys: Vec<(InstanceId, Generation, Sealing)>,
        fence: GatewayId,
    ) -> Result<Vec<InstanceId>, StoreError>;

    // ---- nodes without the API role ----

    /// The node token with this hash, used up and expired ones included.
    async fn node_token(&self, hash: &[u8; 32]) -> Result<Option<NodeToken>, StoreError>;

    /// Nodes by id: this one or all, revoked ones included.
    async fn nodes(&self, id: Option<NodeId>) -> Result<Vec<Node>, StoreError>;

    /// Writes a new node; one use of the token is taken in the same commit.
    async fn join_node(&self, join: NodeJoin) -> Result<NodeJoined, StoreError>;

    /// Notes that a node was given a certificate. False, and nothing written, when there is no
    /// such node or it was revoked.
    async fn renew_node(
        &self,
        id: NodeId,
        at: Timestamp,
        hostname: &str,
    ) -> Result<bool, StoreError>;

    // ---- tasks and jobs ----

    /// Writes a task and its jobs, all or nothing, after checking again what could have changed.
    async fn accept(&self, task: Arc<NewTask>) -> Result<Acceptance, StoreError>;

    /// A task and its jobs in the order of the request. Sealed bytes are left out.
    async fn task(&self, task: TaskId) -> Result<Option<(TaskRow, Vec<JobRow>)>, StoreError>;

    /// The operation log, newest first. Sealed bytes are left out.
    async fn log(&self, query: &LogQuery) -> Result<Page<LogEntry>, StoreError>;

    /// Jobs by id, in any order, and the store's time; sealed bytes are left out.
    async fn jobs(&self, jobs: &[JobId]) -> Result<(Timestamp, Vec<JobRow>), StoreError>;

    /// Open jobs of these devices. Sealed bytes are left out.
    async fn open_jobs(&self, instances: &[InstanceId]) -> Result<Vec<JobRow>, StoreError>;

    /// Later jobs of the same devices: for each, the earlier job's id and the later one's state.
    async fn later_jobs(&self, jobs: &[JobId]) -> Result<Vec<(JobId, JobState)>, StoreError>;

    /// Open jobs whose devices are bound to this gateway, sealed bytes included, and the store's
    /// time. `filter` picks. A row that cannot be read is logged and left out.
    async fn deliverable_jobs(
        &self,
        gateway: GatewayId,
        filter: Deliverable,
        limit: u32,
    ) -> Result<(Timestamp, Vec<DeliverableJob>), StoreError>;

    /// Open jobs whose deadline has come by the store's clock, which is told with them: oldest
    /// first, at most `limit`. Sealed bytes left out. A row that cannot be read is logged and left
    /// out.
    async fn overdue_jobs(&self, limit: u32) -> Result<(Timestamp, Vec<JobRow>), StoreError>;

    /// Applies changes whose version is still the expected one; returns the jobs changed. With a
    /// fence, everything is refused unless that gateway's lease is valid.
    async fn change_jobs(
        &self,
        changes: Vec<JobChange>,
        fence: Option<GatewayId>,
    ) -> Result<Vec<JobId>, StoreError>;

    /// Forgets tasks that were created so long ago by the store's clock, or longer: oldest first,
    /// each with all of its jobs. Never one with an open job, nor the task with the highest id,
    /// above which new ids go on. A task is gone as a whole from its first call on, however many
    /// more its jobs take. Touches at most `limit` rows and returns how many.
    async fn prune_tasks(&self, ago: Span, limit: u32) -> Result<u64, StoreError>;

    /// Overwrites what erased and replaced rows left behind in the store's files, as far as the
    /// engine can: decision 0032. Returns true when nothing is left to do.
    async fn scrub(&self) -> Result<bool, StoreError>;

    /// Forgets nonces and fingerprints that expired by the store's clock; at most `limit`.
    async fn prune_replay(&self, limit: u32) -> Result<u64, StoreError>;

    // ---- gateways ----

    /// Takes or renews a lease of this length from now on. False when the gateway's lease had
    /// ended: then the process must take a new id.
    async fn renew_lease(&self, gateway: GatewayId, length: Span) -> Result<bool, StoreError>;

    /// Deletes gateways whose lease ended so long ago by the store's clock, or longer, and that no
    /// device is bound to; at most `limit`.
    async fn prune_gateways(&self, ago: Span, limit: u32) -> Result<u64, StoreError>;

    /// Ends a lease: a process that stops in good order.
    async fn end_lease(&self, gateway: GatewayId) -> Result<(), StoreError>;

    /// Binds devices to connections of this gateway; a newer connection replaces an older one. A
    /// hello that waited on its way binds nothing while the device is bound, to a gateway whose
    /// lease is valid, by one that it made later in the same boot. Refused as a whole unless the
    /// gateway's own lease is valid. Returns the epochs given.
    async fn bind(
        &self,
        gateway: GatewayId,
        hellos: Vec<Bind>,
    ) -> Result<Vec<(InstanceId, u64)>, StoreError>;

    /// Ends connections; each clears only its own epoch.
    async fn unbind(
        &self,
        gateway: GatewayId,
        connections: Vec<(InstanceId, u64)>,
    ) -> Result<(), StoreError>;
}

/// What the store keeps of the deployment itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeploymentRow {
    /// Its id.
    pub deployment: DeploymentId,
    /// CBOR of `Signed<TrustStatement>`.
    pub statement: Vec<u8>,
    /// Its generation.
    pub generation: Generation,
    /// The deployment's secret keys, encrypted under the master key: name and bytes.
    pub encrypted_keys: Vec<(String, Vec<u8>)>,
}

/// A key that was asked for by its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundKey {
    /// The key.
    pub key: ApiKey,
    /// The account that it acts for.
    pub account: Account,
    /// Whether the service is under maintenance.
    pub maintenance: Option<Maintenance>,
}

/// Which jobs to deliver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deliverable {
    /// These, as the queue said.
    Jobs(Vec<JobId>),
    /// Those of these devices, which just connected.
    Devices(Vec<InstanceId>),
    /// Those without an attempt for so long by the store's clock: what the queue lost.
    NotAttemptedFor(Span),
}

/// An open job and the connection that it goes to.
#[derive(Clone, Debug)]
pub struct DeliverableJob {
    /// The job, with its sealed bytes.
    pub job: JobRow,
    /// The connection's epoch.
    pub epoch: u64,
}

/// A device that connected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bind {
    /// Which.
    pub instance: InstanceId,
    /// The generation of its identity key; must still be the one in force.
    pub identity_generation: Generation,
    /// Raises the highest sequence, never lowers it.
    pub highest_sequence: Sequence,
    /// Its current sealing key; taken when its generation is higher.
    pub sealing: Sealing,
    /// CBOR of the facts.
    pub facts: Vec<u8>,
    /// The agent's version.
    pub agent_version: String,
    /// The machine's boot id.
    pub boot: String,
    /// When it said so, by the time since that boot.
    pub since_boot: Option<Span>,
}
