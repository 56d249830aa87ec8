//! What the two engines have in common: the port's methods are written once, over a way to read
//! and a way to write.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use opencpm_domain::{
    AppId, GatewayId, Generation, InstanceId, JobId, JobState, SecretId, Span, TaskId, Timestamp,
};
use opencpm_operations::port::{
    AdminChange, Administered, Bind, Deliverable, DeliverableJob, DeploymentRow, Enrolled,
    Enrolment, FirstStart, FoundKey, NodeJoin, NodeJoined, Store, StoreError,
};
use opencpm_operations::row::{
    Acceptance, Account, ApiKey, Device, DeviceKey, DeviceQuery, EnrolmentToken, FirstUse,
    JobChange, JobRow, LogEntry, LogQuery, Maintenance, NewTask, Node, NodeId, NodeToken, Page,
    ResetCandidates, Sealing, TaskRow, Unique,
};
use opencpm_protocol::key::VerifyingKey;

use crate::column::read;
use crate::session::Session;
use crate::statement::query;
use crate::statements::{
    accept, account, administer, deployment, device, device_list, enrol, gateway, job, job_change,
    maintenance, node, replay, retention,
};

/// What becomes of a change.
pub(crate) enum Outcome<T> {
    /// It stays.
    Keep(T),
    /// It is undone: a refusal writes nothing.
    Undo(T),
}

/// The store's time, by which leases and ends are judged.
#[derive(Clone, Copy, Debug)]
pub(crate) enum When {
    /// When the store was asked: how long a change waited for its turn is nobody's fault.
    Asked(Timestamp),
    /// By the clock of the database server, inside of the transaction.
    Server,
}

impl When {
    /// The time.
    pub(crate) async fn now(self, session: &mut Session) -> Result<Timestamp, StoreError> {
        match self {
            Self::Asked(asked) => Ok(asked),
            Self::Server => {
                let row = session.row(query("SELECT store_now() AS now")).await?;
                read(&row.ok_or(StoreError::Corrupt("a clock without a time"))?, "now")
            }
        }
    }
}

/// How a change gets to the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// With everybody else.
    Ordinary,
    /// Small, and must not wait for large ones: a lease. Where there is one writer, what waits for
    /// it shares its next commit, and this is no other way.
    Reserved,
}

/// A database engine.
#[async_trait]
pub(crate) trait Engine: Send + Sync + 'static {
    /// One snapshot.
    async fn read(&self) -> Result<Session, StoreError>;

    /// Runs a change, all or nothing, and returns after its commit is durable. It may be run
    /// again from the beginning where it met another one.
    async fn write<T, F>(&self, way: Way, change: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'s> Fn(&'s mut Session) -> BoxFuture<'s, Result<Outcome<T>, StoreError>>
            + Send
            + Sync
            + 'static;

    /// See [`When`].
    fn when(&self) -> When;

    /// See [`Store::check`].
    async fn check(&self) -> Result<Timestamp, StoreError>;

    /// See [`Store::scrub`].
    async fn scrub(&self) -> Result<bool, StoreError>;
}

/// Runs a change on an engine. The arguments are shared by its runs.
macro_rules! run_change {
    ($engine:ident, [$($argument:ident),*], |$session:ident| $change:expr) => {
        run_change!($engine, Way::Ordinary, [$($argument),*], |$session| $change)
    };
    ($engine:ident, $way:expr, [$($argument:ident),*], |$session:ident| $change:expr) => {{
        $(let $argument = std::sync::Arc::new($argument);)*
        $engine
            .write($way, move |$session| {
                $(let $argument = std::sync::Arc::clone(&$argument);)*
                Box::pin(async move { $change.await })
            })
            .await
    }};
}

/// The port's methods. Each goes to the file that is named after what it is about.
macro_rules! store_port {
    ($engine:ty) => {
        #[async_trait::async_trait]
        impl Store for $engine {
            async fn check(&self) -> Result<Timestamp, StoreError> {
                Engine::check(self).await
            }

            async fn deployment(&self) -> Result<Option<DeploymentRow>, StoreError> {
                deployment::deployment(&mut self.read().await?).await
            }

            async fn create_deployment(&self, first: FirstStart) -> Result<bool, StoreError> {
                run_change!(self, [first], |s| deployment::create(s, &first))
            }

            async fn put_statement(
                &self,
                generation: Generation,
                statement: Vec<u8>,
            ) -> Result<(), StoreError> {
                run_change!(self, [statement], |s| deployment::put_statement(
                    s, generation, &statement
                ))
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
                let when = self.when();
                run_change!(self, [], |s| account::prune_api_keys(s, when, ago, limit))
            }

            async fn enrolment_token(
                &self,
                hash: &[u8; 32],
            ) -> Result<Option<EnrolmentToken>, StoreError> {
                account::enrolment_token(&mut self.read().await?, hash).await
            }

            async fn first_use(&self, unique: &Unique) -> Result<Option<FirstUse>, StoreError> {
                replay::first_use(&mut self.read().await?, unique).await
            }

            async fn administer(&self, change: AdminChange) -> Result<Administered, StoreError> {
                run_change!(self, [change], |s| administer::administer(s, &change))
            }

            async fn node_token(&self, hash: &[u8; 32]) -> Result<Option<NodeToken>, StoreError> {
                node::node_token(&mut self.read().await?, hash).await
            }

            async fn nodes(&self, id: Option<NodeId>) -> Result<Vec<Node>, StoreError> {
                node::nodes(&mut self.read().await?, id).await
            }

            async fn join_node(&self, join: NodeJoin) -> Result<NodeJoined, StoreError> {
                run_change!(self, [join], |s| node::join(s, &join))
            }

            async fn renew_node(
                &self,
                id: NodeId,
                at: Timestamp,
                hostname: &str,
            ) -> Result<bool, StoreError> {
                let hostname = hostname.to_owned();
                run_change!(self, [hostname], |s| node::renew(s, id, at, &hostname))
            }

            async fn reset_candidates(
                &self,
                instances: &[InstanceId],
            ) -> Result<ResetCandidates, StoreError> {
                device::reset_candidates(&mut self.read().await?, instances, self.when()).await
            }

            async fn devices(
                &self,
                query: &DeviceQuery,
            ) -> Result<(Timestamp, Page<Device>), StoreError> {
                device_list::devices(&mut self.read().await?, query, self.when()).await
            }

            async fn device_keys(
                &self,
                keys: &[(InstanceId, Generation)],
            ) -> Result<Vec<DeviceKey>, StoreError> {
                device::device_keys(&mut self.read().await?, keys).await
            }

            async fn device_of_identity(
                &self,
                key: &VerifyingKey,
            ) -> Result<Option<Device>, StoreError> {
                device::device_of_identity(&mut self.read().await?, key).await
            }

            async fn enrol(&self, enrolment: Enrolment) -> Result<Enrolled, StoreError> {
                run_change!(self, [enrolment], |s| enrol::enrol(s, &enrolment))
            }

            async fn put_sealing_keys(
                &self,
                keys: Vec<(InstanceId, Generation, Sealing)>,
                fence: GatewayId,
            ) -> Result<Vec<InstanceId>, StoreError> {
                let when = self.when();
                run_change!(self, [keys], |s| device::put_sealing_keys(s, &keys, fence, when))
            }

            async fn accept(&self, task: Arc<NewTask>) -> Result<Acceptance, StoreError> {
                run_change!(self, [task], |s| accept::accept(s, &task))
            }

            async fn task(
                &self,
                task: TaskId,
            ) -> Result<Option<(TaskRow, Vec<JobRow>)>, StoreError> {
                job::task(&mut self.read().await?, task).await
            }

            async fn log(&self, query: &LogQuery) -> Result<Page<LogEntry>, StoreError> {
                job::log(&mut self.read().await?, query).await
            }

            async fn jobs(&self, jobs: &[JobId]) -> Result<(Timestamp, Vec<JobRow>), StoreError> {
                job::jobs(&mut self.read().await?, jobs, self.when()).await
            }

            async fn open_jobs(&self, instances: &[InstanceId]) -> Result<Vec<JobRow>, StoreError> {
                job::open_jobs(&mut self.read().await?, instances).await
            }

            async fn later_jobs(
                &self,
                jobs: &[JobId],
            ) -> Result<Vec<(JobId, JobState)>, StoreError> {
                job::later_jobs(&mut self.read().await?, jobs).await
            }

            async fn deliverable_jobs(
                &self,
                gateway: GatewayId,
                filter: Deliverable,
                limit: u32,
            ) -> Result<(Timestamp, Vec<DeliverableJob>), StoreError> {
                let when = self.when();
                job::deliverable(&mut self.read().await?, gateway, filter, limit, when).await
            }

            async fn overdue_jobs(
                &self,
                limit: u32,
            ) -> Result<(Timestamp, Vec<JobRow>), StoreError> {
                job::overdue(&mut self.read().await?, self.when(), limit).await
            }

            async fn change_jobs(
                &self,
                changes: Vec<JobChange>,
                fence: Option<GatewayId>,
            ) -> Result<Vec<JobId>, StoreError> {
                let when = self.when();
                run_change!(self, [changes], |s| job_change::change_fenced(
                    s, &changes, fence, when
                ))
            }

            async fn prune_tasks(&self, ago: Span, limit: u32) -> Result<u64, StoreError> {
                let when = self.when();
                run_change!(self, [], |s| retention::prune_tasks(s, when, ago, limit))
            }

            async fn scrub(&self) -> Result<bool, StoreError> {
                Engine::scrub(self).await
            }

            async fn prune_replay(&self, limit: u32) -> Result<u64, StoreError> {
                let when = self.when();
                run_change!(self, [], |s| replay::prune(s, when, limit))
            }

            async fn renew_lease(
                &self,
                gateway: GatewayId,
                length: Span,
            ) -> Result<bool, StoreError> {
                let when = self.when();
                run_change!(self, Way::Reserved, [], |s| gateway::renew(s, gateway, length, when))
            }

            async fn prune_gateways(&self, ago: Span, limit: u32) -> Result<u64, StoreError> {
                let when = self.when();
                run_change!(self, [], |s| gateway::prune(s, ago, limit, when))
            }

            async fn end_lease(&self, gateway: GatewayId) -> Result<(), StoreError> {
                let when = self.when();
                run_change!(self, Way::Reserved, [], |s| gateway::end(s, gateway, when))
            }

            async fn bind(
                &self,
                gateway: GatewayId,
                hellos: Vec<Bind>,
            ) -> Result<Vec<(InstanceId, u64)>, StoreError> {
                let when = self.when();
                run_change!(self, [hellos], |s| gateway::bind(s, gateway, &hellos, when))
            }

            async fn unbind(
                &self,
                gateway: GatewayId,
                connections: Vec<(InstanceId, u64)>,
            ) -> Result<(), StoreError> {
                let when = self.when();
                run_change!(self, [connections], |s| gateway::unbind(
                    s,
                    gateway,
                    &connections,
                    when
                ))
            }
        }
    };
}

store_port!(crate::sqlite::SqliteStore);
store_port!(crate::postgres::PostgresStore);
