//! A deployment with real operations and a real store, and as many gateways as a test wants.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use opencpm_deployment::{DEPLOYMENT, Door, Parts};
use opencpm_domain::{
    Condition, Generation, InstanceId, Password, PasswordPolicy, Sequence, Span, TaskId, Timestamp,
};
use opencpm_gateway::{Config, Connector, Gateway, Pipe, Roles};
use opencpm_operations::administer::{Administrator, NewEnrolmentToken, create_enrolment_token};
use opencpm_operations::authenticate::{Caller, known_key};
use opencpm_operations::lease;
use opencpm_operations::port::Clock;
use opencpm_operations::reset_password::{ResetPassword, reset_password};
use opencpm_operations::role::ApiRole;
use opencpm_operations::row::{Unique, UsedNonce};
use opencpm_protocol::conversation::{AgentEvent, AgentStep, Pinned};
use opencpm_protocol::job::Recipient;
use opencpm_protocol::message::JobFrame;
use opencpm_protocol::report::Report;
use opencpm_protocol::sign::Signed;
use opencpm_protocol::token::EnrolmentToken;
use opencpm_queue::EmbeddedQueue;
use opencpm_store::SqliteStore;
use secrecy::{ExposeSecret, SecretString};
use tokio::net::TcpListener;
use tokio::sync::OwnedRwLockWriteGuard;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::agent::{Agent, Device};

pub const PASSWORD: &str = "Correct1Horse(2)";

/// Time goes by, and can be put forward.
pub struct TestClock {
    started: Instant,
    ahead: AtomicU64,
}

impl TestClock {
    pub fn advance(&self, by: Span) {
        self.ahead.fetch_add(by.as_micros(), Ordering::Relaxed);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        let passed = self.started.elapsed().as_micros() as u64;
        let micros = passed + self.ahead.load(Ordering::Relaxed);
        Timestamp::from_secs(1_800_000_000) + Span::from_micros(micros)
    }
}

/// Everything but the gateways.
pub struct Deployment {
    pub api: Arc<ApiRole>,
    pub caller: Caller,
    pub clock: Arc<TestClock>,
    pub pinned: Pinned,
    parts: Parts,
    store: Arc<SqliteStore>,
    /// The doors of processes that are gone stay closed.
    gone: Vec<OwnedRwLockWriteGuard<()>>,
    nonces: u64,
    files: tempfile::TempDir,
}

/// A gateway and its ways.
pub struct Node {
    pub gateway: Gateway,
    pub connector: Connector,
    pub shutdown: CancellationToken,
    pub door: Arc<Door>,
}

impl Deployment {
    pub async fn start() -> Self {
        let files = tempfile::tempdir().unwrap();
        let clock = Arc::new(TestClock { started: Instant::now(), ahead: AtomicU64::new(0) });
        let store = open_store(&files, &clock).await;
        let (parts, key) =
            Parts::make(Arc::<SqliteStore>::clone(&store), Arc::<TestClock>::clone(&clock)).await;
        let api = parts.api();
        let caller = known_key(&api, &key.secret_id).await.unwrap().caller;
        let pinned = Pinned { root: parts.root, deployment: DEPLOYMENT, generation: None };
        Self { api, caller, clock, pinned, parts, store, gone: Vec::new(), nonces: 0, files }
    }

    /// The process is gone, and another one opens the same files.
    pub async fn crash(&mut self, node: Node) {
        self.gone.push(node.door.close().await);
        self.store.close().await.unwrap();
        self.store = open_store(&self.files, &self.clock).await;
        self.parts.store = Arc::<SqliteStore>::clone(&self.store);
        self.parts.queue = Arc::new(EmbeddedQueue::new());
        self.api = self.parts.api();
    }

    pub async fn gateway(&self) -> Node {
        self.gateway_with(lease::ALONE, quick()).await
    }

    pub async fn gateway_with(&self, lease: Span, config: Config) -> Node {
        let gateway = self.parts.gateway(lease);
        let door = Arc::new(Door::new(Roles { gateway, enrolment: Some(Arc::clone(&self.api)) }));
        let (tls, _) = super::tls();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let shutdown = CancellationToken::new();
        let operations = Arc::clone(&door);
        let gateway = Gateway::start_with(config, operations, listener, tls, shutdown.clone());
        let connector = gateway.connector();
        Node { gateway, connector, shutdown, door }
    }

    fn unique(&mut self) -> Unique {
        self.nonces += 1;
        let now = self.api.clock.now();
        Unique::Nonce(UsedNonce {
            secret_id: self.caller.secret_id.clone(),
            timestamp: now.as_secs(),
            nonce: self.nonces,
            expires: now + Span::from_secs(600),
        })
    }

    pub async fn token(&mut self, uses: u32) -> EnrolmentToken {
        let by = Administrator { caller: self.caller.clone(), unique: self.unique() };
        let lifetime = Span::from_secs(60);
        let new = NewEnrolmentToken { account: self.caller.app_id, device: None, uses, lifetime };
        let made = create_enrolment_token(&self.api, by, new).await.unwrap();
        EnrolmentToken::parse(made.token.expose_secret()).unwrap()
    }

    pub async fn reset(&mut self, instances: Vec<InstanceId>) -> TaskId {
        let request = self.request(instances);
        self.ask(&request).await.unwrap()
    }

    pub fn request(&mut self, instances: Vec<InstanceId>) -> ResetPassword {
        let password = SecretString::from(PASSWORD);
        let password = Password::new(password, PasswordPolicy::default()).unwrap();
        ResetPassword { instances, password, unique: self.unique() }
    }

    pub async fn ask(&self, request: &ResetPassword) -> Result<TaskId, Condition> {
        let accepted = reset_password(&self.api, &self.caller, request.clone()).await;
        accepted.map_err(|refusal| refusal.condition)
    }

    pub fn dial(&self, at: &Node) -> Agent<Pipe> {
        let (ours, theirs) = Pipe::pair(16);
        let connector = at.connector.clone();
        tokio::spawn(async move { connector.serve_stream(theirs).await });
        Agent::pinned(ours, self.pinned.clone())
    }

    /// Enrols a machine; it is told which device it is.
    pub async fn enrol(&mut self, at: &Node, number: u16) -> Device {
        let token = self.token(1).await;
        let mut machine = Device::new(number);
        let mut agent = self.dial(at);
        let nonce = agent.challenge().await.nonce;
        let enrol = machine.enrol(*token.secret(), nonce, self.pinned.deployment);
        agent.say(AgentEvent::Enrol(Box::new(enrol))).await;
        match agent.next().await {
            Some(AgentStep::Enrolled(enrolled)) => machine.instance = enrolled.instance,
            other => panic!("{other:?}"),
        }
        machine
    }

    pub async fn connect(&self, at: &Node, device: &Device) -> Agent<Pipe> {
        let mut agent = self.dial(at);
        let hello = device.hello(agent.challenge().await.nonce, self.pinned.deployment);
        agent.say(AgentEvent::Hello(Box::new(hello))).await;
        let step = agent.next().await;
        assert!(matches!(step, Some(AgentStep::Welcome(_))), "{step:?}");
        agent
    }

    /// Opens a job as the machine does.
    pub fn open(&self, device: &Device, frame: &JobFrame) -> SecretString {
        let trust = self.api.trust.now();
        let recipient = Recipient {
            deployment: self.pinned.deployment,
            account: self.caller.app_id,
            instance: &device.instance,
            identity_generation: frame.identity_generation,
            trust: Some(&trust.statement),
            highest: Sequence::default(),
            forgotten: Sequence::default(),
            now: self.api.clock.now(),
        };
        recipient.open(frame, |_| Some(&*device.sealing)).unwrap()
    }

    /// A success, as the machine signs it.
    pub fn report(&self, device: &Device, frame: &JobFrame) -> Signed<Report> {
        let report = Report {
            deployment: self.pinned.deployment,
            instance: device.instance.clone(),
            identity_generation: Generation::FIRST,
            job: frame.job,
            sequence: frame.sequence,
            applied: true,
            reason: None,
            advice: Vec::new(),
            at: self.api.clock.now(),
            scheme: Some("yescrypt".to_owned()),
            next_sealing: None,
        };
        Signed::sign(&report, &device.identity)
    }
}

impl Node {
    /// Ends in good order: no task panicked.
    pub async fn stop(self) {
        self.shutdown.cancel();
        self.gateway.finished().await.unwrap();
    }
}

async fn open_store(files: &tempfile::TempDir, clock: &Arc<TestClock>) -> Arc<SqliteStore> {
    let path: PathBuf = files.path().join("data").join("store.db");
    Arc::new(SqliteStore::open(&path, Arc::<TestClock>::clone(clock)).await.unwrap())
}

/// A gateway that knows of no other, and has no time to lose at its end.
pub fn quick() -> Config {
    let (hand_over, drain) = (Duration::ZERO, Duration::from_millis(500));
    Config { hand_over, drain, ..Config::default() }
}

/// The job that comes next.
pub async fn job(agent: &mut Agent<Pipe>) -> JobFrame {
    match agent.next().await {
        Some(AgentStep::Job(frame)) => *frame,
        other => panic!("no job but {other:?}"),
    }
}
