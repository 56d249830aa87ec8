//! A machine with an agent, its deployment, and a listener for both.

use std::cell::Cell;
use std::fs;
use std::net::TcpListener;
use std::ops::ControlFlow;
use std::path::PathBuf;

use getrandom::SysRng;
use opencpm_agent::agent::{Agent, StartError, Surroundings};
use opencpm_agent::apply::{Root, RootEntry, verify};
use opencpm_agent::clock::{Clock, SystemClock};
use opencpm_agent::enrol::{EnrolError, enrol};
use opencpm_agent::resolve::Resolver;
use opencpm_agent::run::run;
use opencpm_agent::state::{State, StateDir};
use opencpm_domain::{Generation, InstanceId, Span, Timestamp};
use opencpm_protocol::key::{SealingPublic, VerifyingKey};
use opencpm_protocol::message::JobFrame;
use opencpm_protocol::token::EnrolmentToken;
use rand_core::{CryptoRng, UnwrapErr};

use crate::deployment::Deployment;
use crate::gateway::{Enrolment, Script, Seen, serve};

pub(crate) fn rng() -> impl CryptoRng {
    UnwrapErr(SysRng)
}

/// The system's clock, wrong by `ahead` microseconds; one round of connections and no pause.
#[derive(Default)]
pub(crate) struct TestClock {
    pub(crate) ahead: Cell<i64>,
    /// Microseconds that have passed besides.
    pub(crate) later: Cell<u64>,
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        let micros = SystemClock.now().as_micros().saturating_add_signed(self.ahead.get());
        Timestamp::from_micros(micros)
    }

    fn since_boot(&self) -> Span {
        Span::from_micros(SystemClock.since_boot().as_micros() + self.later.get())
    }

    fn pause(&self, _: Span) -> ControlFlow<()> {
        ControlFlow::Break(())
    }
}

pub(crate) struct Machine {
    pub(crate) tree: tempfile::TempDir,
    pub(crate) deployment: Deployment,
    pub(crate) listener: TcpListener,
    pub(crate) clock: TestClock,
}

pub(crate) const SHADOW: &str = "daemon:*:19000:0:99999:7:::\nroot:!:19000:0:99999:7:::\n";

impl Machine {
    /// Not enrolled yet.
    pub(crate) fn new() -> Self {
        let tree = tempfile::tempdir().unwrap();
        fs::create_dir(tree.path().join("etc")).unwrap();
        let write = |path: &str, text: &str| fs::write(tree.path().join(path), text).unwrap();
        write("etc/shadow", SHADOW);
        write("etc/login.defs", "ENCRYPT_METHOD SHA512\n");
        write("etc/machine-id", "0123456789abcdef0123456789abcdef\n");
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        Self { tree, deployment: Deployment::new(), listener, clock: TestClock::default() }
    }

    pub(crate) fn enrolled() -> Self {
        let machine = Self::new();
        machine.enrol(machine.script()).1.unwrap();
        machine
    }

    pub(crate) fn now(&self) -> Timestamp {
        SystemClock.now()
    }

    pub(crate) fn port(&self) -> u16 {
        self.listener.local_addr().unwrap().port()
    }

    fn state_path(&self) -> PathBuf {
        self.tree.path().join("var/lib/opencpm-agent")
    }

    pub(crate) fn directory(&self) -> StateDir {
        StateDir::open(&self.state_path()).unwrap()
    }

    pub(crate) fn state(&self) -> State {
        StateDir::look(&self.state_path()).load().unwrap().unwrap()
    }

    pub(crate) fn surroundings<'a>(&'a self, rng: &'a mut dyn CryptoRng) -> Surroundings<'a> {
        Surroundings {
            clock: &self.clock,
            rng,
            resolver: Resolver::default(),
            root: Root::open(self.tree.path()).unwrap(),
        }
    }

    /// A gateway that welcomes and closes.
    pub(crate) fn script(&self) -> Script {
        let state = StateDir::look(&self.state_path()).load().unwrap();
        let identity = state.as_ref().map(|state| state.identity.signing_key().public());
        let state_generation = state.as_ref().map_or(Generation::FIRST, |s| s.identity.generation);
        let sealing = state.map(|state| state.sealing.newest().generation);
        Script {
            deployment: self.deployment.id,
            statement: self.deployment.signed(&self.deployment.statement(1, self.now())),
            tls: self.deployment.tls.config.clone(),
            identity,
            gateways: vec![format!("127.0.0.1:{}", self.port())],
            sealing_generation: sealing.unwrap_or(Generation::FIRST),
            jobs: Vec::new(),
            reports: 0,
            acknowledge: true,
            moves: None,
            journal: Default::default(),
            new_key: false,
            enrolment: Enrolment::Accept,
            generation: state_generation,
            former: None,
        }
    }

    pub(crate) fn enrol(&self, script: Script) -> (Seen, Result<InstanceId, EnrolError>) {
        self.enrol_with(&self.deployment.token(self.port()), script)
    }

    /// With a token that was made for the device.
    pub(crate) fn enrol_again(&self) -> Seen {
        let second = Generation::FIRST.next();
        let script = Script { generation: second, ..self.script() };
        let (seen, enrolled) = self.enrol_with_own_token(script);
        enrolled.unwrap();
        seen
    }

    pub(crate) fn enrol_with_own_token(
        &self,
        script: Script,
    ) -> (Seen, Result<InstanceId, EnrolError>) {
        let mut token = self.deployment.token(self.port());
        token.instance = Some(crate::deployment::instance());
        self.enrol_with(&token, script)
    }

    fn enrol_with(
        &self,
        token: &EnrolmentToken,
        script: Script,
    ) -> (Seen, Result<InstanceId, EnrolError>) {
        let gateway = serve(&self.listener, script);
        let mut rng = rng();
        let enrolled = enrol(self.surroundings(&mut rng), self.directory(), token, None, false);
        (gateway.join().unwrap(), enrolled)
    }

    /// The agent starts, connects once and ends.
    pub(crate) fn connect(&self, script: Script) -> Seen {
        let gateway = serve(&self.listener, script);
        self.run().unwrap();
        gateway.join().unwrap()
    }

    pub(crate) fn run(&self) -> Result<(), StartError> {
        let mut rng = rng();
        let mut agent = Agent::load(self.surroundings(&mut rng), self.directory())?;
        run(&mut agent);
        Ok(())
    }

    /// One connection that delivers these jobs and takes their reports.
    pub(crate) fn deliver(&self, jobs: Vec<JobFrame>) -> Seen {
        let reports = jobs.len();
        self.connect(Script { jobs, reports, ..self.script() })
    }

    /// A job sealed to the newest key.
    pub(crate) fn job(&self, number: u8, password: &str) -> JobFrame {
        self.deployment.job(number, password, self.sealing(), self.now())
    }

    pub(crate) fn identity(&self) -> VerifyingKey {
        self.state().identity.signing_key().public()
    }

    /// The newest sealing key with its generation, and that of the identity.
    pub(crate) fn sealing(&self) -> (Generation, SealingPublic, Generation) {
        let state = self.state();
        let identity = state.identity.signing_key().public();
        let newest = state.sealing.newest().certificate.verify(&identity).unwrap();
        (newest.generation, newest.key, state.identity.generation)
    }

    pub(crate) fn shadow(&self) -> String {
        fs::read_to_string(self.tree.path().join("etc/shadow")).unwrap()
    }

    pub(crate) fn root_has(&self, password: &str) -> bool {
        let shadow = self.shadow();
        let entry = RootEntry::find(shadow.as_bytes()).unwrap();
        let hash = String::from_utf8(entry.hash().to_vec()).unwrap();
        verify(&hash, password.as_bytes()).unwrap_or(false)
    }
}
