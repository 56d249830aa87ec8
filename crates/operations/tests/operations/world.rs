//! A deployment with both roles, a clock that is moved by hand, and a second pair of hands on the
//! database file.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use opencpm_domain::{
    AppId, DeploymentId, GatewayId, InstanceId, Password, PasswordPolicy, Refusal, Span, TaskId,
    Timestamp, Uin,
};
use opencpm_operations::administer::{
    Administrator, NewEnrolmentToken, create_account, create_enrolment_token,
};
use opencpm_operations::authenticate::{Caller, known_key};
use opencpm_operations::deliver::deliver;
use opencpm_operations::first_start::{NewDeployment, first_start, new_root_key, plan};
use opencpm_operations::keyring::{Keyring, MasterKey};
use opencpm_operations::operation_result::{OperationResult, operation_result};
use opencpm_operations::port::{
    AdminChange, Administered, Change, Clock, Deliverable, IssueError, Issued, Issuer, Queue,
    Random, Store,
};
use opencpm_operations::reset_password::{ResetPassword, reset_password};
use opencpm_operations::role::{ApiRole, GatewayRole, LiveTrust, Settings, Trust};
use opencpm_operations::row::{AuditEntry, JobRow, Unique, UsedNonce};
use opencpm_protocol::key::SigningKey;
use opencpm_protocol::message::JobFrame;
use opencpm_protocol::node::{Certificate, TlsPublic};
use opencpm_protocol::token::EnrolmentToken;
use opencpm_queue::EmbeddedQueue;
use opencpm_store::SqliteStore;
use secrecy::ExposeSecret;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};

use crate::machine::Machine;

/// Stands still unless it is moved.
pub(crate) struct HandClock(AtomicU64);

impl HandClock {
    pub(crate) fn advance(&self, secs: u64) {
        self.0.fetch_add(secs * 1_000_000, Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

/// Issues a text that says what was asked for.
pub(crate) struct Notary(Arc<HandClock>);

impl Issuer for Notary {
    fn issue(&self, key: &TlsPublic, names: &[String]) -> Result<Issued, IssueError> {
        let text = format!("{} {names:?}", key.0[0]);
        let renew = self.0.now() + Span::from_secs(30 * 86_400);
        Ok(Issued { chain: vec![Certificate(text.into_bytes())], renew })
    }
}

type Hook = Box<dyn FnMut() + Send>;

/// Random bytes. A hook is called before each: sealing asks for some, between the reading of the
/// devices and the writing of the task.
#[derive(Default)]
pub(crate) struct Dice(Mutex<Option<Hook>>);

impl Dice {
    pub(crate) fn before_each(&self, hook: impl FnMut() + Send + 'static) {
        *self.0.lock().unwrap() = Some(Box::new(hook));
    }
}

impl Random for Dice {
    fn fill(&self, buffer: &mut [u8]) {
        if let Some(hook) = &mut *self.0.lock().unwrap() {
            hook();
        }
        getrandom::fill(buffer).unwrap();
    }
}

pub(crate) struct World {
    pub(crate) api: Arc<ApiRole>,
    pub(crate) gateway: Arc<GatewayRole>,
    pub(crate) clock: Arc<HandClock>,
    pub(crate) dice: Arc<Dice>,
    /// Of account 1, may administer.
    pub(crate) caller: Caller,
    /// Whoever can write the database file.
    pub(crate) intruder: SqlitePool,
    pub(crate) root: SigningKey,
    nonces: AtomicU64,
    _files: tempfile::TempDir,
}

pub(crate) const GATEWAY: GatewayId = GatewayId::from_bytes([7; 16]);
pub(crate) const OTHER_GATEWAY: GatewayId = GatewayId::from_bytes([8; 16]);
pub(crate) const THIRD_GATEWAY: GatewayId = GatewayId::from_bytes([9; 16]);
pub(crate) const DEPLOYMENT: DeploymentId = DeploymentId::from_bytes([5; 16]);

impl World {
    /// A deployment whose gateway has a lease for an hour.
    pub(crate) async fn new() -> Self {
        let files = tempfile::tempdir().unwrap();
        let path = files.path().join("data").join("store.db");
        let hand = Arc::new(HandClock(AtomicU64::new(1_800_000_000_000_000)));
        let clock: Arc<dyn Clock> = hand.clone();
        let dice = Arc::new(Dice::default());
        let random: Arc<dyn Random> = dice.clone();
        let queue: Arc<dyn Queue> = Arc::new(EmbeddedQueue::new());
        let store = SqliteStore::open(&path, Arc::clone(&clock)).await.unwrap();
        let store: Arc<dyn Store> = Arc::new(store);
        let (master, root) = (MasterKey::new([1; 32].into()), new_root_key(&*random));
        let new = NewDeployment {
            master: &master,
            root: &root,
            deployment: DEPLOYMENT,
            tls_certificate: Vec::new(),
            tls_key: Vec::new().into(),
            app_id: account(1),
            account_name: "first".to_owned(),
            uin: Uin::parse("1").unwrap(),
        };
        let (first, key) = plan(&*clock, Arc::clone(&random), new).unwrap();
        first_start(&*store, first).await.unwrap();
        let row = store.deployment().await.unwrap().unwrap();
        let system: Arc<dyn Random> = Arc::new(Dice::default());
        let keys = Keyring::load(DEPLOYMENT, &master, &row.encrypted_keys, system).unwrap();
        let trust = Arc::new(LiveTrust::new(Trust::load(&row, &root.public()).unwrap()));
        let api = Arc::new(ApiRole {
            store: Arc::clone(&store),
            queue: Arc::clone(&queue),
            clock: Arc::clone(&clock),
            random: Arc::clone(&random),
            keys: Arc::new(keys),
            issuer: Arc::new(Notary(hand.clone())),
            trust: Arc::clone(&trust),
            settings: Settings {
                gateways: vec!["localhost:1".to_owned()],
                api_names: vec!["api.example".to_owned()],
                ..Settings::default()
            },
            proofs: Default::default(),
            cores: Default::default(),
            room: Default::default(),
            quotas: Default::default(),
        });
        let caller = known_key(&api, &key.secret_id).await.unwrap().caller;
        let lease = opencpm_operations::lease::SHARED;
        let gateways = Vec::new();
        let gateway = GatewayRole { store, queue, clock, random, trust, gateways, lease };
        let intruder = SqliteConnectOptions::new().filename(&path).foreign_keys(false);
        let world = Self {
            api,
            gateway: Arc::new(gateway),
            clock: hand,
            dice,
            caller,
            intruder: SqlitePool::connect_with(intruder).await.unwrap(),
            root,
            nonces: AtomicU64::new(0),
            _files: files,
        };
        let hour = Span::from_secs(3_600);
        assert!(world.gateway.store.renew_lease(GATEWAY, hour).await.unwrap());
        world
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Moves the clock of the API node alone; the store keeps its own.
    pub(crate) fn move_clock_of_the_node(&mut self, ahead: Span) {
        let Some(api) = Arc::get_mut(&mut self.api) else { panic!("the node is in use") };
        api.clock = Arc::new(HandClock(AtomicU64::new((self.clock.now() + ahead).as_micros())));
    }

    /// Moves the clock of the gateway alone.
    pub(crate) fn move_clock_of_the_gateway(&mut self, ahead: Span) {
        let Some(gateway) = Arc::get_mut(&mut self.gateway) else { panic!("it is in use") };
        gateway.clock = Arc::new(HandClock(AtomicU64::new((self.clock.now() + ahead).as_micros())));
    }

    /// Whoever can write the database does it.
    pub(crate) async fn forge(&self, sql: &'static str) {
        let changed = sqlx::query(sql).execute(&self.intruder).await.unwrap();
        assert!(changed.rows_affected() > 0, "nothing was forged");
    }

    /// Writes a change as it is.
    pub(crate) async fn write(&self, what: Change) {
        let audit = AuditEntry {
            at: self.now(),
            secret_id: None,
            uin: None,
            action: "Test".to_owned(),
            subject: String::new(),
        };
        let change = AdminChange { what, audit, unique: None };
        assert_eq!(self.api.store.administer(change).await.unwrap(), Administered::Done);
    }

    pub(crate) fn unique(&self) -> Unique {
        let nonce = self.nonces.fetch_add(1, Ordering::SeqCst);
        Unique::Nonce(UsedNonce {
            secret_id: self.caller.secret_id.clone(),
            timestamp: self.now().as_secs(),
            nonce,
            expires: self.now() + Span::from_secs(600),
        })
    }

    pub(crate) fn administrator(&self) -> Administrator {
        Administrator { caller: self.caller.clone(), unique: self.unique() }
    }

    /// A second account, and a caller for it.
    pub(crate) async fn other_caller(&self) -> Caller {
        let by = self.administrator();
        create_account(&self.api, by, account(2), "second".to_owned()).await.unwrap();
        Caller { app_id: account(2), ..self.caller.clone() }
    }

    /// A token for new devices of account 1.
    pub(crate) async fn token(&self, uses: u32) -> EnrolmentToken {
        self.token_for(account(1), None, uses).await.unwrap()
    }

    pub(crate) async fn token_for(
        &self,
        account: AppId,
        device: Option<&InstanceId>,
        uses: u32,
    ) -> Result<EnrolmentToken, Refusal> {
        let lifetime = Span::from_secs(3_600);
        let new = NewEnrolmentToken { account, device: device.cloned(), uses, lifetime };
        let made = create_enrolment_token(&self.api, self.administrator(), new).await?;
        Ok(EnrolmentToken::parse(made.token.expose_secret()).unwrap())
    }

    /// Enrolled machines of account 1, connected to the gateway.
    pub(crate) async fn machines<const N: usize>(&self) -> [Machine; N] {
        let token = self.token(u32::try_from(N).unwrap()).await;
        let mut machines = Vec::new();
        for _ in 0..N {
            let mut machine = Machine::new();
            machine.enrol(self, &token).await.unwrap();
            machine.connect(&self.gateway, GATEWAY).await;
            machines.push(machine);
        }
        machines.try_into().unwrap_or_else(|_| panic!("another number"))
    }

    pub(crate) async fn reset(&self, instances: &[&InstanceId]) -> Result<TaskId, Refusal> {
        self.reset_as(&self.caller, instances, self.unique()).await
    }

    pub(crate) async fn reset_as(
        &self,
        caller: &Caller,
        instances: &[&InstanceId],
        unique: Unique,
    ) -> Result<TaskId, Refusal> {
        let instances = instances.iter().map(|id| (*id).clone()).collect();
        let password = Password::new("abce1234".into(), PasswordPolicy::default()).unwrap();
        let request = ResetPassword { instances, password, unique };
        reset_password(&self.api, caller, request).await
    }

    /// The one frame that is to go out to these devices now; its attempt is committed.
    pub(crate) async fn job_for(&self, machine: &Machine) -> JobFrame {
        let which = Deliverable::Devices(vec![machine.instance.clone()]);
        let mut deliveries = deliver(&self.gateway, GATEWAY, which).await.unwrap();
        assert_eq!(deliveries.len(), 1);
        deliveries.remove(0).frame
    }

    pub(crate) async fn result(&self, task: TaskId) -> OperationResult {
        operation_result(&self.api, &self.caller, task).await.unwrap()
    }

    /// The one job of a task, as an answer shows it.
    pub(crate) async fn job(&self, task: TaskId) -> JobRow {
        let mut jobs = self.result(task).await.jobs;
        assert_eq!(jobs.len(), 1);
        jobs.remove(0)
    }
}

pub(crate) fn account(number: u64) -> AppId {
    AppId::new(number).unwrap()
}
