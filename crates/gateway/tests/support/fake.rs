use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use getrandom::SysRng;
use opencpm_domain::{
    AppId, DeploymentId, GatewayId, Generation, InstanceId, JobId, Sequence, Span, Timestamp,
};
use opencpm_gateway::Operations;
use opencpm_operations::connect::{Arrival, Bound, Candidate};
use opencpm_operations::deliver::Delivery;
use opencpm_operations::port::{
    Deliverable, Queue, QueueError, ReadyJobs, StoreError, Subscription,
};
use opencpm_operations::record_reports::Delivered;
use opencpm_operations::record_sealing_keys::NewSealingKey;
use opencpm_protocol::conversation::Recognised;
use opencpm_protocol::key::{KeyId, SigningKey};
use opencpm_protocol::message::{EnrolRequest, Enrolled, Farewell, JobFrame, Welcome};
use opencpm_protocol::node::{CertificateRequest, Certified};
use opencpm_protocol::seal::SealedJob;
use opencpm_protocol::sign::Signed;
use opencpm_protocol::statement::TrustStatement;
use opencpm_protocol::token::EnrolmentToken;
use opencpm_queue::EmbeddedQueue;
use rand_core::UnwrapErr;
use tokio::sync::watch;
use tokio::time::Instant;

use super::agent::Device;

/// Longer than any limit, so that nothing underflows.
const START: Timestamp = Timestamp::from_secs(1_800_000_000);

/// The operations over a table in memory. Its time is tokio's.
pub struct Fake {
    pub deployment: DeploymentId,
    pub root: SigningKey,
    /// Enrols any number of machines.
    pub token: EnrolmentToken,
    started: Instant,
    counter: AtomicU64,
    queue: EmbeddedQueue,
    pub store: watch::Sender<Store>,
    /// How long a lease lasts.
    pub lease: Duration,
}

/// What the store holds, and how it behaves.
#[derive(Default)]
pub struct Store {
    pub devices: HashMap<InstanceId, Recognised>,
    pub bindings: HashMap<InstanceId, (GatewayId, u64)>,
    pub jobs: HashMap<JobId, Job>,
    pub reports: HashMap<JobId, Delivered>,
    pub sealing: HashMap<InstanceId, Generation>,
    pub leases: HashSet<GatewayId>,
    pub enrolled: Vec<InstanceId>,
    /// Every call that takes many values: its name, and how many values came.
    pub calls: Vec<(&'static str, usize)>,
    /// Whose rows cannot be read.
    pub spoilt: HashSet<InstanceId>,
    /// Nothing can be written or read.
    pub down: bool,
    /// No lease is given or renewed.
    pub no_leases: bool,
    /// So long a lease is written before its gateway hears of it.
    pub slow_renewals: Duration,
    epoch: u64,
}

pub struct Job {
    pub instance: InstanceId,
    pub frame: JobFrame,
    pub attempted: Option<Timestamp>,
    pub attempts: u32,
}

impl Fake {
    pub fn new() -> Self {
        let (deployment, root) =
            (DeploymentId::from_bytes([1; 16]), SigningKey::from_bytes(&[2; 32]));
        let addresses = vec!["localhost:1".to_owned()];
        let mut rng = UnwrapErr(SysRng);
        let token =
            EnrolmentToken::generate(&mut rng, root.public(), deployment, addresses, None).unwrap();
        Self {
            deployment,
            root,
            token,
            started: Instant::now(),
            counter: AtomicU64::new(1),
            queue: EmbeddedQueue::new(),
            store: watch::Sender::new(Store::default()),
            lease: Duration::from_secs(10),
        }
    }

    pub fn enrol_device(&self, device: &Device) {
        let (identity, generation) = (device.identity.public(), Generation::FIRST);
        self.store.send_modify(|store| {
            store.devices.insert(device.instance.clone(), Recognised { identity, generation });
        });
    }

    /// A job that the queue does not know of.
    pub fn add_job(&self, device: &Device) -> JobId {
        let number = self.counter.fetch_add(1, Ordering::Relaxed);
        let mut id = [0; 16];
        id[..8].copy_from_slice(&number.to_be_bytes());
        let job = JobId::from_bytes(id);
        let frame = JobFrame {
            job,
            sequence: Sequence::new(number),
            identity_generation: Generation::FIRST,
            sealing_generation: Generation::FIRST,
            verb: opencpm_protocol::seal::Verb::SetRootPassword.number(),
            issued_at: self.now(),
            not_after: self.now() + Span::from_secs(100),
            authority: KeyId::from_bytes([3; 8]),
            sealed: SealedJob { enc: [4; 32], ciphertext: vec![5; 80] },
        };
        let instance = device.instance.clone();
        let row = Job { instance, frame, attempted: None, attempts: 0 };
        self.store.send_modify(|store| drop(store.jobs.insert(job, row)));
        job
    }

    /// A job that is accepted as the API does it.
    pub async fn publish_job(&self, device: &Device) -> JobId {
        let job = self.add_job(device);
        let gateway = self.store.borrow().bindings[&device.instance].0;
        self.queue.publish(vec![ReadyJobs { gateway, jobs: vec![job] }]).await.unwrap();
        job
    }

    pub fn set(&self, change: impl FnOnce(&mut Store)) {
        self.store.send_modify(change);
    }

    /// Waits for the store to look so.
    pub async fn until(&self, so: impl FnMut(&Store) -> bool) {
        super::soon(self.store.subscribe().wait_for(so)).await.unwrap();
    }

    pub fn calls(&self, name: &str) -> Vec<usize> {
        let store = self.store.borrow();
        store.calls.iter().filter(|(n, _)| *n == name).map(|(_, values)| *values).collect()
    }

    /// One transaction.
    fn write<T>(
        &self,
        call: (&'static str, usize),
        gateway: Option<GatewayId>,
        change: impl FnOnce(&mut Store) -> T,
    ) -> Result<T, StoreError> {
        let mut result = Err(StoreError::Unavailable("down".into()));
        self.store.send_modify(|store| {
            store.calls.push(call);
            if !store.down {
                let fenced = gateway.is_some_and(|id| !store.leases.contains(&id));
                result = if fenced { Err(StoreError::LeaseEnded) } else { Ok(change(store)) };
            }
        });
        result
    }
}

#[async_trait]
impl Operations for Fake {
    fn now(&self) -> Timestamp {
        START + Span::from_micros(self.started.elapsed().as_micros() as u64)
    }

    fn random(&self) -> [u8; 32] {
        let number = self.counter.fetch_add(1, Ordering::Relaxed);
        SigningKey::from_bytes(&[number.to_le_bytes(); 4].concat().try_into().unwrap())
            .public()
            .as_bytes()
            .to_owned()
    }

    fn deployment(&self) -> DeploymentId {
        self.deployment
    }

    fn lease(&self) -> Duration {
        self.lease
    }

    fn statement(&self) -> Signed<TrustStatement> {
        let statement = TrustStatement {
            deployment: self.deployment,
            generation: Generation::FIRST,
            authorities: Vec::new(),
            row_keys: Vec::new(),
            tls_authorities: Vec::new(),
            longest_deadline: Span::from_secs(3600),
            valid_from: START,
            valid_until: START + Span::from_secs(1_000_000),
        };
        Signed::sign(&statement, &self.root)
    }

    async fn recognise(
        &self,
        instances: Vec<InstanceId>,
    ) -> Result<HashMap<InstanceId, Result<Candidate, Farewell>>, StoreError> {
        // Others run while the store works.
        tokio::task::yield_now().await;
        self.write(("recognise", instances.len()), None, |store| {
            if instances.iter().any(|instance| store.spoilt.contains(instance)) {
                return Err(StoreError::Corrupt("a key"));
            }
            let candidate = |instance: InstanceId| {
                let recognised = store.devices.get(&instance)?.clone();
                let account = AppId::new(7).unwrap();
                Some((instance, Ok(Candidate { recognised, account })))
            };
            Ok(instances.into_iter().filter_map(candidate).collect())
        })?
    }

    async fn bind(
        &self,
        gateway: GatewayId,
        arrivals: Vec<Arrival>,
    ) -> Result<Vec<Bound>, StoreError> {
        // Others run while the store works.
        tokio::task::yield_now().await;
        self.write(("bind", arrivals.len()), Some(gateway), |store| {
            let bind = |arrival: &Arrival| {
                store.epoch += 1;
                let instance = arrival.hello.instance.clone();
                store.bindings.insert(instance.clone(), (gateway, store.epoch));
                let welcome = Welcome {
                    sealing_generation: Generation::FIRST,
                    account: arrival.account,
                    gateways: Vec::new(),
                };
                Bound { instance, epoch: store.epoch, welcome }
            };
            arrivals.iter().map(bind).collect()
        })
    }

    async fn unbind(
        &self,
        _: GatewayId,
        connections: Vec<(InstanceId, u64)>,
    ) -> Result<(), StoreError> {
        self.write(("unbind", connections.len()), None, |store| {
            for (instance, epoch) in connections {
                if store.bindings.get(&instance).is_some_and(|binding| binding.1 == epoch) {
                    store.bindings.remove(&instance);
                }
            }
        })
    }

    async fn deliver(
        &self,
        gateway: GatewayId,
        what: Deliverable,
    ) -> Result<Vec<Delivery>, StoreError> {
        let now = self.now();
        let wanted = |id: &JobId, job: &Job| match &what {
            Deliverable::Jobs(jobs) => jobs.contains(id),
            Deliverable::Devices(devices) => devices.contains(&job.instance),
            Deliverable::NotAttemptedFor(span) => job.attempted.is_none_or(|at| at <= now - *span),
        };
        self.write(("deliver", 1), Some(gateway), |store| {
            let mut deliveries = Vec::new();
            for (id, job) in &mut store.jobs {
                let Some(&(at, epoch)) = store.bindings.get(&job.instance) else { continue };
                if at == gateway && !store.reports.contains_key(id) && wanted(id, job) {
                    (job.attempted, job.attempts) = (Some(now), job.attempts + 1);
                    let (instance, frame) = (job.instance.clone(), job.frame.clone());
                    deliveries.push(Delivery { instance, epoch, frame });
                }
            }
            deliveries
        })
    }

    async fn record_reports(
        &self,
        gateway: GatewayId,
        reports: Vec<Delivered>,
    ) -> Result<Vec<(InstanceId, JobId)>, StoreError> {
        self.write(("record_reports", reports.len()), Some(gateway), |store| {
            let mut kept = Vec::new();
            for delivered in reports {
                let job = delivered.report.read_unverified().unwrap().job;
                kept.push((delivered.instance.clone(), job));
                store.reports.insert(job, delivered);
            }
            kept
        })
    }

    async fn record_sealing_keys(
        &self,
        gateway: GatewayId,
        keys: Vec<NewSealingKey>,
    ) -> Result<Vec<(InstanceId, Generation)>, StoreError> {
        self.write(("record_sealing_keys", keys.len()), Some(gateway), |store| {
            let keep = |key: NewSealingKey| {
                let generation = key.certificate.read_unverified().unwrap().generation;
                store.sealing.insert(key.instance.clone(), generation);
                (key.instance, generation)
            };
            keys.into_iter().map(keep).collect()
        })
    }

    async fn renew_lease(&self, gateway: GatewayId) -> Result<bool, StoreError> {
        let known = self.store.borrow().leases.contains(&gateway);
        let renewed = self.write((if known { "renew" } else { "take" }, 1), None, |store| {
            if !store.no_leases {
                store.leases.insert(gateway);
            }
            !store.no_leases
        });
        let answered = self.store.borrow().slow_renewals;
        tokio::time::sleep(if known { answered } else { Duration::ZERO }).await;
        renewed
    }

    async fn end_lease(&self, gateway: GatewayId) -> Result<(), StoreError> {
        self.write(("end_lease", 1), None, |store| {
            store.leases.remove(&gateway);
        })
    }

    async fn enrol(&self, secret: &[u8; 32], request: &EnrolRequest) -> Result<Enrolled, Farewell> {
        if secret != self.token.secret() {
            return Err(Farewell::TokenRefused);
        }
        let instance = InstanceId::parse(&format!("cpm-{}", request.identity.key_id())).unwrap();
        let recognised = Recognised { identity: request.identity, generation: Generation::FIRST };
        self.set(|store| {
            store.devices.insert(instance.clone(), recognised);
        });
        let account = AppId::new(7).unwrap();
        let identity_generation = Generation::FIRST;
        Ok(Enrolled { instance, account, identity_generation, gateways: Vec::new() })
    }

    async fn certify(
        &self,
        secret: Option<&[u8; 32]>,
        _: &CertificateRequest,
    ) -> Result<Certified, Farewell> {
        if secret != Some(self.token.secret()) {
            return Err(Farewell::NotRecognised);
        }
        Ok(Certified { chain: Vec::new(), renew: self.now(), addresses: Vec::new() })
    }

    async fn subscribe(&self, gateway: GatewayId) -> Result<Box<dyn Subscription>, QueueError> {
        self.queue.subscribe(gateway).await
    }
}
