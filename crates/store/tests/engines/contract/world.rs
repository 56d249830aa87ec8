//! A store with an account, a gateway and devices, and a clock that is moved by hand.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures_util::StreamExt;
use opencpm_domain::{
    AppId, DeploymentId, GatewayId, Generation, InstanceId, JobId, JobState, SecretId, Sequence,
    Span, TaskId, Timestamp, Uin,
};
use opencpm_operations::port::{
    AdminChange, Administered, Bind, Change, Clock, DeploymentRow, Enrolled, Enrolment, FirstStart,
    Store,
};
use opencpm_operations::row::{
    Acceptance, Account, ApiKey, Attributes, AuditEntry, Binding, Connection, Device,
    DeviceAuthority, DeviceKey, DeviceQuery, DeviceScope, EnrolmentToken, Expected, Fingerprint,
    Identity, JobChange, JobRow, NewJob, NewTask, Scope, Sealing, TagFilter, Unique, UsedNonce,
};
use opencpm_protocol::key::{KeyId, VerifyingKey};
use opencpm_protocol::seal::{SealedJob, Verb};

/// A kind of store. Closes and opens the same data again, in good order or after a crash.
#[async_trait]
pub(crate) trait Backend: Send {
    async fn open(&mut self, clock: &Arc<HandClock>) -> Arc<dyn Store>;
    async fn crash(&mut self, clock: &Arc<HandClock>) -> Arc<dyn Store>;
}

/// Stands still unless it is moved.
pub(crate) struct HandClock {
    micros: AtomicU64,
    /// Who is told of each move: a store whose clock is in another process.
    listeners: Mutex<Vec<Listener>>,
}

type Listener = Box<dyn Fn(Timestamp) + Send>;

impl HandClock {
    pub(crate) fn new() -> Arc<Self> {
        let micros = AtomicU64::new(1_700_000_000_000_000);
        Arc::new(Self { micros, listeners: Mutex::default() })
    }

    pub(crate) fn advance(&self, secs: u64) {
        self.micros.fetch_add(secs * 1_000_000, Ordering::SeqCst);
        self.listeners.lock().unwrap().iter().for_each(|listener| listener(self.now()));
    }

    /// From now on, the listener knows the time.
    pub(crate) fn tell(&self, listener: impl Fn(Timestamp) + Send + 'static) {
        listener(self.now());
        self.listeners.lock().unwrap().push(Box::new(listener));
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.micros.load(Ordering::SeqCst))
    }
}

pub(crate) struct World {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<HandClock>,
    /// The gateway; another one after each start of the store.
    pub(crate) gateway: GatewayId,
    starts: u8,
    backend: Box<dyn Backend>,
}

pub(crate) const GATEWAY: GatewayId = GatewayId::from_bytes([7; 16]);
const TOKEN: [u8; 32] = [9; 32];

impl World {
    /// A store with its first account and a gateway, without devices.
    pub(crate) async fn new(mut backend: Box<dyn Backend>) -> Self {
        let clock = HandClock::new();
        let store = backend.open(&clock).await;
        prepare(&store, clock.now()).await;
        Self { store, clock, gateway: GATEWAY, starts: 0, backend }
    }

    /// Stops the store in good order and starts it again.
    pub(crate) async fn reopen(&mut self) {
        self.store = self.backend.open(&self.clock).await;
        self.start_gateway().await;
    }

    /// Stops the store without warning and starts it again.
    pub(crate) async fn crash(&mut self) {
        self.store = self.backend.crash(&self.clock).await;
        self.start_gateway().await;
    }

    async fn start_gateway(&mut self) {
        self.starts += 1;
        self.gateway = GatewayId::from_bytes([100 + self.starts; 16]);
        assert!(self.store.renew_lease(self.gateway, span(10_000)).await.unwrap());
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Enrols and connects devices.
    pub(crate) async fn devices(&self, ids: &[&str]) -> Vec<InstanceId> {
        let ids: Vec<_> = ids.iter().map(|text| id(text)).collect();
        fleet(&self.store, &ids, self.now()).await;
        ids
    }

    /// Sends a request for these devices and expects that it is accepted.
    pub(crate) async fn accept(&self, task: u64, ids: &[InstanceId]) -> Vec<JobRow> {
        let new = self.task(task, ids).await;
        assert_eq!(self.store.accept(new.into()).await.unwrap(), Acceptance::Accepted);
        self.jobs(task).await
    }

    /// A request for these devices as they are now.
    pub(crate) async fn task(&self, task: u64, ids: &[InstanceId]) -> NewTask {
        new_task(&self.store, task, ids, self.now()).await
    }

    pub(crate) async fn jobs(&self, task: u64) -> Vec<JobRow> {
        self.store.task(TaskId::new(task).unwrap()).await.unwrap().map_or(vec![], |(_, jobs)| jobs)
    }

    /// The device as it is now.
    pub(crate) async fn device(&self, instance: &InstanceId) -> Device {
        let query = DeviceQuery {
            instances: vec![instance.clone()],
            retired: true,
            limit: 1,
            ..DeviceQuery::default()
        };
        self.store.devices(&query).await.unwrap().1.items.remove(0)
    }

    pub(crate) async fn change(&self, changes: Vec<JobChange>) -> Vec<JobId> {
        self.store.change_jobs(changes, Some(self.gateway)).await.unwrap()
    }

    /// Ends a job well.
    pub(crate) async fn succeed(&self, job: &JobRow) {
        assert_eq!(self.change(vec![next(job, succeeded(self.now()))]).await, [job.job]);
    }

    pub(crate) async fn administer(&self, what: Change) -> Administered {
        let audit = audit(self.now(), "Test");
        let change = AdminChange { what, audit, unique: None };
        self.store.administer(change).await.unwrap()
    }
}

/// The change of a job to another state.
pub(crate) fn next(job: &JobRow, state: JobState) -> JobChange {
    JobChange {
        job: job.job,
        version: job.version,
        state,
        attempted: None,
        report: None,
        device: None,
    }
}

pub(crate) fn succeeded(now: Timestamp) -> JobState {
    let advice = vec![];
    JobState::Succeeded { attempts: 1, ended: now, applied: now, advice, corrected: false }
}

pub(crate) fn span(secs: u64) -> Span {
    Span::from_secs(secs)
}

pub(crate) fn id(text: &str) -> InstanceId {
    InstanceId::parse(text).unwrap()
}

pub(crate) fn app(number: u64) -> AppId {
    AppId::new(number).unwrap()
}

pub(crate) fn generation(number: u32) -> Generation {
    Generation::new(number).unwrap()
}

pub(crate) fn secret_id(text: &str) -> SecretId {
    SecretId::parse(text).unwrap()
}

pub(crate) fn account(number: u64) -> Account {
    Account { app_id: app(number), name: format!("account {number}"), blocked: false }
}

pub(crate) fn api_key(text: &str, owner: u64) -> ApiKey {
    ApiKey {
        secret_id: secret_id(text),
        encrypted_secret: vec![1, 2, 3],
        app_id: app(owner),
        uin: Uin::parse("100000000001").unwrap(),
        scope: Scope {
            admin: false,
            actions: Some(vec!["ResetDevicePasswd".into()]),
            devices: Some(DeviceScope {
                instances: [id("cpm-1")].into(),
                tags: vec![tag_filter("role", &["db", "数据"]), tag_filter("any", &[])],
            }),
        },
        token_hash: Some([5; 32]),
        expires: Some(Timestamp::from_secs(2_000_000_000)),
        maker: None,
        disabled: false,
        created: Timestamp::from_secs(1_600_000_000),
        mac: [6; 32],
    }
}

pub(crate) fn tag_filter(key: &str, values: &[&str]) -> TagFilter {
    let values = values.iter().map(|value| (*value).to_owned()).collect();
    TagFilter { key: key.into(), values }
}

pub(crate) fn audit(at: Timestamp, action: &str) -> AuditEntry {
    AuditEntry { at, secret_id: None, uin: None, action: action.into(), subject: "all".into() }
}

pub(crate) fn nonce(number: u64, expires: Timestamp) -> Unique {
    let secret_id = secret_id("AKID1");
    Unique::Nonce(UsedNonce { secret_id, timestamp: 1_700_000_000, nonce: number, expires })
}

pub(crate) fn fingerprint(number: u8, expires: Timestamp) -> Unique {
    Unique::Fingerprint(Fingerprint { hash: [number; 32], expires })
}

pub(crate) fn first_start(now: Timestamp) -> FirstStart {
    FirstStart {
        deployment: DeploymentRow {
            deployment: DeploymentId::from_bytes([1; 16]),
            statement: vec![1],
            generation: Generation::FIRST,
            encrypted_keys: vec![("row".into(), vec![1]), ("authority".into(), vec![2])],
        },
        account: account(1),
        api_key: api_key("AKID1", 1),
        audit: audit(now, "FirstStart"),
    }
}

pub(crate) fn token(uses: u32, expires: Timestamp) -> EnrolmentToken {
    EnrolmentToken {
        hash: TOKEN,
        app_id: app(1),
        device: None,
        uses_left: uses,
        expires,
        mac: [3; 32],
    }
}

/// A key that belongs to nobody else: made of the device's id and the generation.
pub(crate) fn identity(instance: &InstanceId, number: u32) -> Identity {
    let mut key = [0; 32];
    let name = instance.as_str().as_bytes();
    let start = name.len().saturating_sub(24);
    key[..name.len() - start].copy_from_slice(&name[start..]);
    key[24..28].copy_from_slice(&number.to_be_bytes());
    Identity { generation: generation(number), key: VerifyingKey::from_bytes(key) }
}

pub(crate) fn sealing(number: u32) -> Sealing {
    Sealing { generation: generation(number), certificate: vec![u8::try_from(number).unwrap(); 40] }
}

/// An enrolment of this device with the generation of its identity.
pub(crate) fn enrolment(instance: &InstanceId, number: u32, now: Timestamp) -> Enrolment {
    let identity = identity(instance, number);
    Enrolment {
        token: TOKEN,
        now,
        authority: DeviceAuthority {
            instance: instance.clone(),
            account: app(1),
            identity: Some(identity.clone()),
            retired: false,
            quarantined: false,
        },
        signature: [2; 64],
        key: DeviceKey {
            instance: instance.clone(),
            identity,
            from: now,
            until: None,
            signature: [4; 64],
        },
        sealing: sealing(1),
        facts: vec![8],
        agent_version: "0.1.0".into(),
        attributes: Attributes { alias: format!("host {instance}"), ..Attributes::default() },
        jobs: vec![],
        audit: audit(now, "Enrol"),
    }
}

pub(crate) fn hello(instance: &InstanceId) -> Bind {
    Bind {
        instance: instance.clone(),
        identity_generation: Generation::FIRST,
        highest_sequence: Sequence::default(),
        sealing: sealing(1),
        facts: vec![8, 8],
        agent_version: "0.1.1".into(),
        boot: "boot".into(),
        since_boot: None,
    }
}

/// Deployment, account, token and lease.
pub(crate) async fn prepare(store: &Arc<dyn Store>, now: Timestamp) {
    assert!(store.create_deployment(first_start(now)).await.unwrap());
    let what = Change::CreateEnrolmentToken(token(1_000_000, now + span(100_000)));
    let audit = audit(now, "CreateEnrolmentToken");
    let change = AdminChange { what, audit, unique: None };
    assert_eq!(store.administer(change).await.unwrap(), Administered::Done);
    assert!(store.renew_lease(GATEWAY, span(10_000)).await.unwrap());
}

/// Enrols and connects devices, many at once.
pub(crate) async fn fleet(store: &Arc<dyn Store>, ids: &[InstanceId], now: Timestamp) {
    let enrolments = ids.iter().map(|id| store.enrol(enrolment(id, 1, now)));
    let mut enrolments = futures_util::stream::iter(enrolments).buffered(32);
    while let Some(enrolled) = enrolments.next().await {
        assert_eq!(enrolled.unwrap(), Enrolled::Done);
    }
    let bound = store.bind(GATEWAY, ids.iter().map(hello).collect()).await.unwrap();
    assert_eq!(bound.len(), ids.len());
}

/// A request for devices as they are now.
pub(crate) async fn new_task(
    store: &Arc<dyn Store>,
    task: u64,
    ids: &[InstanceId],
    now: Timestamp,
) -> NewTask {
    let candidates = store.reset_candidates(ids).await.unwrap().devices;
    let candidates: std::collections::BTreeMap<_, _> =
        candidates.iter().map(|device| (&device.authority.instance, device)).collect();
    let jobs = ids.iter().zip(0u64..).map(|(id, place)| {
        let device = candidates[id];
        let sequence = device.highest_sequence.next(now);
        let binding = match device.connection {
            Connection::Bound { binding, .. } => binding,
            Connection::None => Binding { gateway: GATEWAY, epoch: 0 },
        };
        NewJob {
            job: job_id(task, place),
            instance: id.clone(),
            sequence,
            identity_generation: device.authority.identity.as_ref().unwrap().generation,
            sealing_generation: device.sealing.as_ref().unwrap().generation,
            verb: Verb::SetRootPassword,
            issued_at: now,
            not_after: now + span(110),
            authority: KeyId::from_bytes([1; 8]),
            sealed: SealedJob { enc: [3; 32], ciphertext: vec![4; 80] },
            mac: [5; 32],
            expected: Expected { binding, highest_sequence: device.highest_sequence },
        }
    });
    NewTask {
        task: TaskId::new(task).unwrap(),
        account: app(1),
        action: "resetPasswd",
        uin: Uin::parse("100000000001").unwrap(),
        created: now,
        deadline: now + span(120),
        within: None,
        unique: None,
        jobs: jobs.collect(),
    }
}

/// The id of a job by its place in a task.
pub(crate) fn job_id(task: u64, place: u64) -> JobId {
    JobId::from_bytes((u128::from(task) << 64 | u128::from(place)).to_be_bytes())
}
