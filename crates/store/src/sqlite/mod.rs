//! The Store port on SQLite. The port's methods are in one place here; each goes to the file that
//! is named after what it is about.

mod accept;
mod account;
mod administer;
mod column;
mod deployment;
mod device;
mod device_list;
mod device_write;
mod enrol;
mod gateway;
mod job;
mod job_change;
mod maintenance;
mod node;
mod open;
mod replay;
mod retention;
mod scope;
mod scrub;
mod session;
mod writer;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use opencpm_domain::{
    AppId, GatewayId, Generation, InstanceId, JobId, JobState, SecretId, Span, TaskId, Timestamp,
};
use opencpm_operations::port::{
    AdminChange, Administered, Bind, Clock, Deliverable, DeliverableJob, DeploymentRow, Enrolled,
    Enrolment, FirstStart, FoundKey, NodeJoin, NodeJoined, Store, StoreError,
};
use opencpm_operations::row::{
    Acceptance, Account, ApiKey, Device, DeviceKey, DeviceQuery, EnrolmentToken, FirstUse,
    JobChange, JobRow, LogEntry, LogQuery, Maintenance, NewTask, Node, NodeId, NodeToken, Page,
    ResetCandidates, Sealing, TaskRow, Unique,
};
use opencpm_protocol::key::VerifyingKey;
use sqlx::sqlite::SqlitePool;

pub use open::OpenError;
use session::{Meter, Session, store_error};
use writer::Writer;

/// One SQLite file, open in one process: several readers and one writer with group commit.
pub struct SqliteStore {
    clock: Arc<dyn Clock>,
    readers: SqlitePool,
    writer: Writer,
    meter: Arc<Meter>,
}

impl SqliteStore {
    /// Opens the file, made where it is absent (mode 0600, in a directory with mode 0700), and
    /// brings its schema up to date. Leases are judged by the clock.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] with an [`OpenError`] when another process has the file open
    /// or it cannot be made; [`StoreError::Corrupt`] when it is no database of ours;
    /// [`StoreError::Newer`] when a newer version made it.
    pub async fn open(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let opened = open::open(path).await?;
        let meter = Arc::new(Meter::default());
        // Nobody knows what the process before left.
        meter.set_remains(true);
        let session = Session::writer(opened.writer, Arc::clone(&meter));
        Ok(Self {
            clock,
            readers: opened.readers,
            writer: Writer::start(session, opened.lock),
            meter,
        })
    }

    /// Finishes what was begun and closes the file. Fails when the writer did not end well.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.readers.close().await;
        self.writer.close().await
    }

    /// Returns when nothing can be written any more: after [`Self::close`], and when the writer
    /// panicked.
    pub async fn stopped(&self) {
        self.writer.stopped().await;
    }

    /// How many SQL statements were run since the store was opened.
    pub fn statements(&self) -> u64 {
        self.meter.statements()
    }

    /// How SQLite would look for devices: the steps of its plan for both statements of a query, to
    /// see which filters are served by an index.
    pub async fn device_list_plan(&self, query: &DeviceQuery) -> Result<Vec<String>, StoreError> {
        device_list::plan(&mut self.read().await?, query).await
    }

    /// One snapshot.
    async fn read(&self) -> Result<Session, StoreError> {
        let transaction = self.readers.begin().await.map_err(store_error)?;
        Ok(Session::reader(transaction, Arc::clone(&self.meter)))
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn check(&self) -> Result<(), StoreError> {
        // Behind the changes that wait: a writer that stands still takes none.
        self.writer.between("SELECT 1").await.map(drop)
    }

    async fn deployment(&self) -> Result<Option<DeploymentRow>, StoreError> {
        deployment::deployment(&mut self.read().await?).await
    }

    async fn create_deployment(&self, first: FirstStart) -> Result<bool, StoreError> {
        self.writer.write(move |s| Box::pin(deployment::create(s, first))).await
    }

    async fn put_statement(
        &self,
        generation: Generation,
        statement: Vec<u8>,
    ) -> Result<(), StoreError> {
        self.writer
            .write(move |s| Box::pin(deployment::put_statement(s, generation, statement)))
            .await
    }

    async fn api_key(&self, secret_id: &SecretId) -> Result<Option<FoundKey>, StoreError> {
        account::api_key(&mut self.read().await?, secret_id).await
    }

    async fn maintenance(&self) -> Result<Option<Maintenance>, StoreError> {
        maintenance::maintenance(&mut self.read().await?).await
    }

    async fn accounts(&self) -> Result<Vec<Account>, StoreError> {
        account::accounts(&mut self.read().await?).await
    }

    async fn api_keys(&self, account: Option<AppId>) -> Result<Vec<ApiKey>, StoreError> {
        account::api_keys(&mut self.read().await?, account).await
    }

    async fn prune_api_keys(&self, ago: Span, limit: u32) -> Result<u64, StoreError> {
        let expired = self.now() - ago;
        self.writer.write(move |s| Box::pin(account::prune_api_keys(s, expired, limit))).await
    }

    async fn enrolment_token(&self, hash: &[u8; 32]) -> Result<Option<EnrolmentToken>, StoreError> {
        account::enrolment_token(&mut self.read().await?, hash).await
    }

    async fn first_use(&self, unique: &Unique) -> Result<Option<FirstUse>, StoreError> {
        replay::first_use(&mut self.read().await?, unique).await
    }

    async fn administer(&self, change: AdminChange) -> Result<Administered, StoreError> {
        self.writer.write(move |s| Box::pin(administer::administer(s, change))).await
    }

    async fn reset_candidates(
        &self,
        instances: &[InstanceId],
    ) -> Result<ResetCandidates, StoreError> {
        device::reset_candidates(&mut self.read().await?, instances, self.now()).await
    }

    async fn devices(&self, query: &DeviceQuery) -> Result<(Timestamp, Page<Device>), StoreError> {
        let page = device_list::devices(&mut self.read().await?, query).await?;
        Ok((self.now(), page))
    }

    async fn device_keys(
        &self,
        keys: &[(InstanceId, Generation)],
    ) -> Result<Vec<DeviceKey>, StoreError> {
        device::device_keys(&mut self.read().await?, keys).await
    }

    async fn device_of_identity(&self, key: &VerifyingKey) -> Result<Option<Device>, StoreError> {
        device::device_of_identity(&mut self.read().await?, key).await
    }

    async fn enrol(&self, enrolment: Enrolment) -> Result<Enrolled, StoreError> {
        self.writer.write(move |s| Box::pin(enrol::enrol(s, enrolment))).await
    }

    async fn put_sealing_keys(
        &self,
        keys: Vec<(InstanceId, Generation, Sealing)>,
        fence: GatewayId,
    ) -> Result<Vec<InstanceId>, StoreError> {
        let asked = self.now();
        self.writer.write(move |s| Box::pin(device::put_sealing_keys(s, keys, fence, asked))).await
    }

    async fn node_token(&self, hash: &[u8; 32]) -> Result<Option<NodeToken>, StoreError> {
        node::node_token(&mut self.read().await?, hash).await
    }

    async fn nodes(&self, id: Option<NodeId>) -> Result<Vec<Node>, StoreError> {
        node::nodes(&mut self.read().await?, id).await
    }

    async fn join_node(&self, join: NodeJoin) -> Result<NodeJoined, StoreError> {
        self.writer.write(move |s| Box::pin(node::join(s, join))).await
    }

    async fn renew_node(
        &self,
        id: NodeId,
        at: Timestamp,
        hostname: &str,
    ) -> Result<bool, StoreError> {
        let hostname = hostname.to_owned();
        self.writer.write(move |s| Box::pin(node::renew(s, id, at, hostname))).await
    }

    async fn accept(&self, task: Arc<NewTask>) -> Result<Acceptance, StoreError> {
        self.writer.write(move |s| Box::pin(accept::accept(s, task))).await
    }

    async fn task(&self, task: TaskId) -> Result<Option<(TaskRow, Vec<JobRow>)>, StoreError> {
        job::task(&mut self.read().await?, task).await
    }

    async fn log(&self, query: &LogQuery) -> Result<Page<LogEntry>, StoreError> {
        job::log(&mut self.read().await?, query).await
    }

    async fn jobs(&self, jobs: &[JobId]) -> Result<Vec<JobRow>, StoreError> {
        job::jobs(&mut self.read().await?, jobs).await
    }

    async fn open_jobs(&self, instances: &[InstanceId]) -> Result<Vec<JobRow>, StoreError> {
        job::open_jobs(&mut self.read().await?, instances).await
    }

    async fn later_jobs(&self, jobs: &[JobId]) -> Result<Vec<(JobId, JobState)>, StoreError> {
        job::later_jobs(&mut self.read().await?, jobs).await
    }

    async fn deliverable_jobs(
        &self,
        gateway: GatewayId,
        filter: Deliverable,
        limit: u32,
    ) -> Result<Vec<DeliverableJob>, StoreError> {
        job::deliverable(&mut self.read().await?, gateway, filter, limit).await
    }

    async fn overdue_jobs(&self, limit: u32) -> Result<(Timestamp, Vec<JobRow>), StoreError> {
        let now = self.now();
        Ok((now, job::overdue(&mut self.read().await?, now, limit).await?))
    }

    async fn change_jobs(
        &self,
        changes: Vec<JobChange>,
        fence: Option<GatewayId>,
    ) -> Result<Vec<JobId>, StoreError> {
        let asked = self.now();
        self.writer
            .write(move |s| Box::pin(job_change::change_fenced(s, changes, fence, asked)))
            .await
    }

    async fn prune_tasks(&self, ago: Span, limit: u32) -> Result<u64, StoreError> {
        let created = self.now() - ago;
        self.writer.write(move |s| Box::pin(retention::prune_tasks(s, created, limit))).await
    }

    async fn scrub(&self) -> Result<bool, StoreError> {
        scrub::scrub(&self.writer, &self.meter).await
    }

    async fn prune_replay(&self, limit: u32) -> Result<u64, StoreError> {
        let now = self.now();
        self.writer.write(move |s| Box::pin(replay::prune(s, now, limit))).await
    }

    async fn renew_lease(&self, gateway: GatewayId, length: Span) -> Result<bool, StoreError> {
        let asked = self.now();
        self.writer.write(move |s| Box::pin(gateway::renew(s, gateway, length, asked))).await
    }

    async fn prune_gateways(&self, ago: Span, limit: u32) -> Result<u64, StoreError> {
        let asked = self.now();
        self.writer.write(move |s| Box::pin(gateway::prune(s, ago, limit, asked))).await
    }

    async fn end_lease(&self, gateway: GatewayId) -> Result<(), StoreError> {
        let asked = self.now();
        self.writer.write(move |s| Box::pin(gateway::end(s, gateway, asked))).await
    }

    async fn bind(
        &self,
        gateway: GatewayId,
        hellos: Vec<Bind>,
    ) -> Result<Vec<(InstanceId, u64)>, StoreError> {
        let asked = self.now();
        self.writer.write(move |s| Box::pin(gateway::bind(s, gateway, hellos, asked))).await
    }

    async fn unbind(
        &self,
        gateway: GatewayId,
        connections: Vec<(InstanceId, u64)>,
    ) -> Result<(), StoreError> {
        let asked = self.now();
        self.writer.write(move |s| Box::pin(gateway::unbind(s, gateway, connections, asked))).await
    }
}
