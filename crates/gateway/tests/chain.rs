//! The gateway over the real operations and a real store: a machine enrols, connects, opens what
//! was sealed for it, and its signed report proves the success.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a failed expectation is a failed test")]

mod support;

use std::sync::Arc;

use opencpm_domain::{
    AppId, Condition, DeploymentId, Generation, InstanceId, JobStatus, Password, PasswordPolicy,
    Span, TaskId, Timestamp, Uin,
};
use opencpm_gateway::{Config, Connector, Gateway, Pipe};
use opencpm_operations::administer::{Administrator, NewEnrolmentToken, create_enrolment_token};
use opencpm_operations::authenticate::{Caller, known_key};
use opencpm_operations::first_start::{NewDeployment, first_start, new_root_key, plan};
use opencpm_operations::keyring::{Keyring, MasterKey};
use opencpm_operations::operation_result::{operation_result, verify_task};
use opencpm_operations::port::{Clock, IssueError, Issued, Issuer, Queue, Random, Store};
use opencpm_operations::reset_password::{ResetPassword, reset_password};
use opencpm_operations::role::{ApiRole, GatewayRole, LiveTrust, Settings, Trust};
use opencpm_operations::row::{Unique, UsedNonce};
use opencpm_protocol::conversation::{AgentEvent, AgentStep, Pinned};
use opencpm_protocol::message::JobFrame;
use opencpm_protocol::node::TlsPublic;
use opencpm_protocol::report::Report;
use opencpm_protocol::seal::{SealContext, Verb, open};
use opencpm_protocol::sign::Signed;
use opencpm_protocol::token::EnrolmentToken;
use opencpm_queue::EmbeddedQueue;
use opencpm_store::SqliteStore;
use secrecy::{ExposeSecret, SecretString};
use support::agent::{Agent, Device};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const PASSWORD: &str = "Correct1Horse(2)";

struct Since(Instant);

impl Clock for Since {
    fn now(&self) -> Timestamp {
        let passed = self.0.elapsed().as_micros() as u64;
        Timestamp::from_secs(1_800_000_000) + Span::from_micros(passed)
    }
}

struct System;

impl Random for System {
    fn fill(&self, buffer: &mut [u8]) {
        getrandom::fill(buffer).unwrap();
    }
}

/// A deployment in one process.
struct Deployment {
    api: Arc<ApiRole>,
    caller: Caller,
    gateway: Gateway,
    connector: Connector,
    shutdown: CancellationToken,
    pinned: Pinned,
    nonces: u64,
    _files: tempfile::TempDir,
}

/// No node joins in these tests.
struct NoIssuer;

impl Issuer for NoIssuer {
    fn issue(&self, _: &TlsPublic, _: &[String]) -> Result<Issued, IssueError> {
        Err(IssueError("no node joins here".into()))
    }
}

impl Deployment {
    async fn start() -> Self {
        let files = tempfile::tempdir().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(Since(Instant::now()));
        let random: Arc<dyn Random> = Arc::new(System);
        let queue: Arc<dyn Queue> = Arc::new(EmbeddedQueue::new());
        let path = files.path().join("data").join("store.db");
        let store = SqliteStore::open(&path, Arc::clone(&clock)).await.unwrap();
        let store: Arc<dyn Store> = Arc::new(store);
        let (deployment, root) = (DeploymentId::from_bytes([5; 16]), new_root_key(&*random));
        let master = MasterKey::new(random.bytes::<32>().into());
        let new = NewDeployment {
            master: &master,
            root: &root,
            deployment,
            tls_certificate: Vec::new(),
            tls_key: Vec::new().into(),
            app_id: AppId::new(1).unwrap(),
            account_name: "first".to_owned(),
            uin: Uin::parse("1").unwrap(),
        };
        let (first, key) = plan(&*clock, Arc::clone(&random), new).unwrap();
        first_start(&*store, first).await.unwrap();
        let row = store.deployment().await.unwrap().unwrap();
        let keys = Keyring::load(deployment, &master, &row.encrypted_keys, Arc::clone(&random));
        let trust = Arc::new(LiveTrust::new(Trust::load(&row, &root.public()).unwrap()));
        let api = Arc::new(ApiRole {
            store: Arc::clone(&store),
            queue: Arc::clone(&queue),
            clock: Arc::clone(&clock),
            random: Arc::clone(&random),
            keys: Arc::new(keys.unwrap()),
            issuer: Arc::new(NoIssuer),
            trust: Arc::clone(&trust),
            settings: Settings { gateways: vec!["localhost:1".to_owned()], ..Settings::default() },
            proofs: Default::default(),
            cores: Default::default(),
            room: Default::default(),
            quotas: Default::default(),
        });
        let caller = known_key(&api, &key.secret_id).await.unwrap().caller;
        let role = GatewayRole { store, queue, clock, random, trust, gateways: Vec::new() };
        let (tls, _) = support::tls();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let shutdown = CancellationToken::new();
        let (config, enrolment) = (Config::default(), Some(Arc::clone(&api)));
        let gateway = Gateway::start(config, role, enrolment, listener, tls, shutdown.clone());
        let connector = gateway.connector();
        let pinned = Pinned { root: root.public(), deployment, generation: None };
        Self { api, caller, gateway, connector, shutdown, pinned, nonces: 0, _files: files }
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

    async fn token(&mut self) -> EnrolmentToken {
        let by = Administrator { caller: self.caller.clone(), unique: self.unique() };
        let lifetime = Span::from_secs(60);
        let new =
            NewEnrolmentToken { account: self.caller.app_id, device: None, uses: 1, lifetime };
        let made = create_enrolment_token(&self.api, by, new).await.unwrap();
        EnrolmentToken::parse(made.token.expose_secret()).unwrap()
    }

    async fn reset(&mut self, instances: Vec<InstanceId>) -> TaskId {
        let request = self.request(instances);
        self.ask(&request).await.unwrap()
    }

    fn request(&mut self, instances: Vec<InstanceId>) -> ResetPassword {
        let password = SecretString::from(PASSWORD);
        let password = Password::new(password, PasswordPolicy::default()).unwrap();
        ResetPassword { instances, password, unique: self.unique() }
    }

    async fn ask(&self, request: &ResetPassword) -> Result<TaskId, Condition> {
        let accepted = reset_password(&self.api, &self.caller, request.clone()).await;
        accepted.map_err(|refusal| refusal.condition)
    }

    fn dial(&self) -> Agent<Pipe> {
        let (ours, theirs) = Pipe::pair(16);
        let connector = self.connector.clone();
        tokio::spawn(async move { connector.serve_stream(theirs).await });
        Agent::pinned(ours, self.pinned.clone())
    }

    /// Enrols a machine; it is told which device it is.
    async fn enrol(&mut self, number: u16) -> Device {
        let token = self.token().await;
        let mut machine = Device::new(number);
        let mut agent = self.dial();
        let nonce = agent.challenge().await.nonce;
        let enrol = machine.enrol(*token.secret(), nonce, self.pinned.deployment);
        agent.say(AgentEvent::Enrol(Box::new(enrol))).await;
        match agent.next().await {
            Some(AgentStep::Enrolled(enrolled)) => machine.instance = enrolled.instance,
            other => panic!("{other:?}"),
        }
        machine
    }

    async fn connect(&self, device: &Device) -> Agent<Pipe> {
        let mut agent = self.dial();
        let hello = device.hello(agent.challenge().await.nonce, self.pinned.deployment);
        agent.say(AgentEvent::Hello(Box::new(hello))).await;
        let step = agent.next().await;
        assert!(matches!(step, Some(AgentStep::Welcome(_))), "{step:?}");
        agent
    }

    /// Opens a job as the machine does.
    fn open(&self, device: &Device, frame: &JobFrame) -> SecretString {
        let context = SealContext {
            deployment: self.pinned.deployment,
            account: self.caller.app_id,
            instance: device.instance.clone(),
            identity_generation: frame.identity_generation,
            sealing_generation: frame.sealing_generation,
            verb: Verb::from_number(frame.verb).unwrap(),
            job: frame.job,
            sequence: frame.sequence,
            issued_at: frame.issued_at,
            not_after: frame.not_after,
        };
        let trust = self.api.trust.now();
        let authority = trust.statement.authority(frame.authority).unwrap();
        open(&frame.sealed, &context, &device.sealing, authority).unwrap()
    }

    /// A success, as the machine signs it.
    fn report(&self, device: &Device, frame: &JobFrame) -> Signed<Report> {
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

async fn job(agent: &mut Agent<Pipe>) -> JobFrame {
    match agent.next().await {
        Some(AgentStep::Job(frame)) => *frame,
        other => panic!("no job but {other:?}"),
    }
}

#[tokio::test]
async fn a_reset_reaches_the_machine_and_its_signed_report_proves_the_success() {
    let mut here = Deployment::start().await;
    let device = here.enrol(1).await;
    let mut agent = here.connect(&device).await;
    let task = here.reset(vec![device.instance.clone()]).await;
    let frame = job(&mut agent).await;
    assert_eq!(here.open(&device, &frame).expose_secret(), PASSWORD);
    let report = here.report(&device, &frame);
    agent.say(AgentEvent::Report(Box::new(report))).await;
    assert_eq!(agent.kept().await, [frame.job]);
    let result = operation_result(&here.api, &here.caller, task).await.unwrap();
    assert_eq!(result.status.number(), JobStatus::Succeeded.number());
    here.shutdown.cancel();
    here.gateway.finished().await.unwrap();
}

/// Contract 2.6 and 7.1.
#[tokio::test]
async fn a_request_that_comes_again_is_called_that_and_a_refused_one_may_come_again() {
    let mut here = Deployment::start().await;
    let device = here.enrol(1).await;
    let mut agent = here.connect(&device).await;
    let first = here.request(vec![device.instance.clone()]);
    let other = here.request(vec![device.instance.clone()]);
    here.ask(&first).await.unwrap();
    assert_eq!(here.ask(&first).await, Err(Condition::Replayed));
    assert_eq!(here.ask(&other).await, Err(Condition::DeviceBusy));
    let frame = job(&mut agent).await;
    let report = here.report(&device, &frame);
    agent.say(AgentEvent::Report(Box::new(report))).await;
    assert_eq!(agent.kept().await, [frame.job]);
    assert_eq!(here.ask(&first).await, Err(Condition::Replayed));
    here.ask(&other).await.unwrap();
    here.shutdown.cancel();
    here.gateway.finished().await.unwrap();
}

#[tokio::test]
async fn a_task_can_be_verified_again() {
    let mut here = Deployment::start().await;
    let (proved, silent) = (here.enrol(1).await, here.enrol(2).await);
    let (mut agent, _other) = (here.connect(&proved).await, here.connect(&silent).await);
    let task = here.reset(vec![silent.instance.clone(), proved.instance.clone()]).await;
    let frame = job(&mut agent).await;
    let report = here.report(&proved, &frame);
    agent.say(AgentEvent::Report(Box::new(report))).await;
    assert_eq!(agent.kept().await, [frame.job]);
    let verified = verify_task(&here.api, &here.caller, task).await.unwrap();
    assert_eq!(verified.successes, [(proved.instance, Ok(()))]);
    here.shutdown.cancel();
    here.gateway.finished().await.unwrap();
}

#[tokio::test]
async fn a_machine_that_lost_its_connection_gets_the_job_again_on_the_next_one() {
    let mut here = Deployment::start().await;
    let device = here.enrol(1).await;
    let mut agent = here.connect(&device).await;
    let task = here.reset(vec![device.instance.clone()]).await;
    let first = job(&mut agent).await;
    drop(agent);
    let mut agent = here.connect(&device).await;
    assert_eq!(job(&mut agent).await, first);
    let result = operation_result(&here.api, &here.caller, task).await.unwrap();
    assert_eq!(result.status.number(), JobStatus::Incomplete.number());
    let report = here.report(&device, &first);
    agent.say(AgentEvent::Report(Box::new(report))).await;
    assert_eq!(agent.kept().await, [first.job]);
    here.shutdown.cancel();
    here.gateway.finished().await.unwrap();
}

#[tokio::test]
async fn after_a_drain_no_device_is_alive() {
    let mut here = Deployment::start().await;
    let device = here.enrol(1).await;
    let mut agent = here.connect(&device).await;
    here.shutdown.cancel();
    agent.farewell().await;
    here.gateway.finished().await.unwrap();
    let candidates = here.api.store.reset_candidates(&[device.instance]).await.unwrap();
    assert!(!candidates.any_gateway_alive);
    assert_eq!(candidates.devices[0].connection, opencpm_operations::row::Connection::None);
}
