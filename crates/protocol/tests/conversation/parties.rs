//! A server, an agent, and machines that sign whatever a test makes them sign.

use opencpm_domain::{
    AppId, DeploymentId, Generation, InstanceId, JobId, Sequence, Span, Timestamp,
};
use opencpm_protocol::conversation::{
    AgentConversation, AgentEvent, AgentStep, Breach, Pinned, Recognised, ServerConversation,
    ServerEvent, ServerStep,
};
use opencpm_protocol::key::{SealingKey, SigningKey};
use opencpm_protocol::message::{
    Enrol, EnrolRequest, Enrolled, Facts, Farewell, Hello, PROTOCOL_VERSION, ToAgent, ToServer,
    Welcome,
};
use opencpm_protocol::report::{Report, SealingCertificate};
use opencpm_protocol::sign::Signed;
use opencpm_protocol::statement::TrustStatement;

pub const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
pub const NONCE: [u8; 32] = [0x5a; 32];
pub const HERE: DeploymentId = DeploymentId::from_bytes([1; 16]);

pub fn id(text: &str) -> InstanceId {
    InstanceId::parse(text).unwrap()
}

pub fn job(number: u8) -> JobId {
    JobId::from_bytes([number; 16])
}

pub fn root() -> SigningKey {
    SigningKey::from_bytes(&[2; 32])
}

pub fn statement(generation: u32, deployment: DeploymentId) -> TrustStatement {
    TrustStatement {
        deployment,
        generation: Generation::new(generation).unwrap(),
        authorities: Vec::new(),
        row_keys: Vec::new(),
        tls_authorities: Vec::new(),
        longest_deadline: Span::from_secs(3600),
        valid_from: NOW,
        valid_until: NOW + Span::from_secs(1_000),
    }
}

/// A machine that signs whatever a test makes it sign.
pub struct Machine {
    pub instance: InstanceId,
    pub identity: SigningKey,
}

impl Machine {
    pub fn new(name: &str, seed: u8) -> Self {
        Self { instance: id(name), identity: SigningKey::from_bytes(&[seed; 32]) }
    }

    pub fn honest() -> Self {
        Self::new("cpm-honest", 3)
    }

    pub fn other() -> Self {
        Self::new("cpm-other", 4)
    }

    pub fn recognised(&self) -> Recognised {
        Recognised { identity: self.identity.public(), generation: Generation::FIRST }
    }

    pub fn certificate(&self) -> Signed<SealingCertificate> {
        let certificate = SealingCertificate {
            identity: self.identity.public(),
            generation: Generation::FIRST,
            key: SealingKey::from_bytes(&[9; 32]).unwrap().public(),
            made: NOW,
        };
        Signed::sign(&certificate, &self.identity)
    }

    pub fn hello(&self, change: impl FnOnce(&mut Hello)) -> Signed<Hello> {
        let mut hello = Hello {
            nonce: NONCE,
            deployment: HERE,
            instance: self.instance.clone(),
            identity_generation: Generation::FIRST,
            version: PROTOCOL_VERSION,
            statement_generation: Generation::FIRST,
            highest_sequence: Sequence::default(),
            sealing: self.certificate(),
            boot: String::new(),
            time: NOW,
            facts: Facts::default(),
            since_boot: None,
        };
        change(&mut hello);
        Signed::sign(&hello, &self.identity)
    }

    pub fn enrol(&self, nonce: [u8; 32]) -> Enrol {
        let request = EnrolRequest {
            nonce,
            deployment: HERE,
            identity: self.identity.public(),
            sealing: self.certificate(),
            facts: Facts::default(),
            version: PROTOCOL_VERSION,
        };
        Enrol { secret: [8; 32].into(), request: Signed::sign(&request, &self.identity) }
    }

    pub fn report(&self, change: impl FnOnce(&mut Report)) -> Signed<Report> {
        let mut report = Report {
            deployment: HERE,
            instance: self.instance.clone(),
            identity_generation: Generation::FIRST,
            job: job(1),
            sequence: Sequence::new(1),
            applied: true,
            reason: None,
            advice: Vec::new(),
            at: NOW,
            scheme: None,
            next_sealing: None,
        };
        change(&mut report);
        Signed::sign(&report, &self.identity)
    }
}

pub fn welcome() -> Welcome {
    Welcome {
        sealing_generation: Generation::FIRST,
        account: AppId::new(7).unwrap(),
        gateways: Vec::new(),
    }
}

pub fn enrolled(machine: &Machine) -> Enrolled {
    Enrolled {
        instance: machine.instance.clone(),
        account: AppId::new(7).unwrap(),
        identity_generation: Generation::FIRST,
        gateways: Vec::new(),
    }
}

/// The server's side, and everything that it did.
pub struct Server {
    pub conversation: Option<ServerConversation>,
    pub did: Vec<ServerStep>,
}

impl Server {
    pub fn open() -> Self {
        let statement = Signed::sign(&statement(1, HERE), &root());
        let (conversation, did) = ServerConversation::open(HERE, statement, NONCE, NOW);
        Self { conversation: Some(conversation), did }
    }

    /// A server whose peer is live.
    pub fn live(machine: &Machine) -> Self {
        let mut server = Self::open();
        server.frame(&ToServer::Hello(machine.hello(|_| {})).encode());
        server.tell(ServerEvent::Recognised(machine.recognised()));
        server.tell(ServerEvent::Bound(welcome()));
        assert_eq!(server.device(), Some(&machine.instance));
        server.did.clear();
        server
    }

    pub fn tell(&mut self, event: ServerEvent<'_>) {
        self.tell_at(event, NOW);
    }

    pub fn tell_at(&mut self, event: ServerEvent<'_>, now: Timestamp) {
        let (conversation, steps) = self.conversation.take().unwrap().handle(event, now);
        self.conversation = Some(conversation);
        self.did.extend(steps);
    }

    pub fn frame(&mut self, frame: &[u8]) {
        self.tell(ServerEvent::Frame(frame));
    }

    pub fn device(&self) -> Option<&InstanceId> {
        self.conversation.as_ref().unwrap().device()
    }

    pub fn due(&self) -> Timestamp {
        self.conversation.as_ref().unwrap().due()
    }

    pub fn did(&self, what: impl FnMut(&ServerStep) -> bool) -> bool {
        self.did.iter().any(what)
    }

    pub fn closed(&self) -> bool {
        self.did(|step| matches!(step, ServerStep::Close(_)))
    }

    /// How it said goodbye.
    pub fn farewell(&self) -> Option<Farewell> {
        self.did.iter().find_map(|step| match step {
            ServerStep::Send(frame) => match ToAgent::decode(frame).unwrap() {
                Some(ToAgent::Goodbye(goodbye)) => Farewell::from_number(goodbye.why),
                _ => None,
            },
            _ => None,
        })
    }
}

/// The agent's side, and everything that it was asked to do.
pub struct Agent {
    pub conversation: Option<AgentConversation>,
    pub did: Vec<AgentStep>,
}

impl Agent {
    pub fn open(generation: Option<u32>) -> Self {
        let generation = generation.map(|g| Generation::new(g).unwrap());
        let pinned = Pinned { root: root().public(), deployment: HERE, generation };
        Self { conversation: Some(AgentConversation::open(pinned, NOW)), did: Vec::new() }
    }

    pub fn tell(&mut self, event: AgentEvent<'_>) {
        self.tell_at(event, NOW);
    }

    pub fn tell_at(&mut self, event: AgentEvent<'_>, now: Timestamp) {
        let (conversation, steps) = self.conversation.take().unwrap().handle(event, now);
        self.conversation = Some(conversation);
        self.did.extend(steps);
    }

    pub fn is_live(&self) -> bool {
        self.conversation.as_ref().unwrap().is_live()
    }

    pub fn breach(&self) -> Option<&Breach> {
        self.did.iter().find_map(|step| match step {
            AgentStep::Close(breach) => Some(breach),
            _ => None,
        })
    }
}

/// Carries frames both ways until neither has one left; both drivers answer honestly.
pub fn talk(server: &mut Server, agent: &mut Agent, machine: &Machine) {
    let (mut server_at, mut agent_at) = (0, 0);
    while server_at < server.did.len() || agent_at < agent.did.len() {
        if let Some(step) = server.did.get(server_at) {
            server_at += 1;
            match step {
                ServerStep::Send(frame) => agent.tell(AgentEvent::Frame(&frame.clone())),
                ServerStep::Recognise(_) => {
                    server.tell(ServerEvent::Recognised(machine.recognised()));
                }
                ServerStep::Bind(_) => server.tell(ServerEvent::Bound(welcome())),
                ServerStep::Enrol { .. } => server.tell(ServerEvent::Enrolled(enrolled(machine))),
                ServerStep::Report(report) => {
                    let job = report.read_unverified().unwrap().job;
                    server.tell(ServerEvent::ReportsKept(vec![job]));
                }
                _ => {}
            }
        }
        if let Some(step) = agent.did.get(agent_at) {
            agent_at += 1;
            match step {
                AgentStep::Send(frame) => server.frame(&frame.clone()),
                AgentStep::Judge { .. } => agent.tell(AgentEvent::Trusted),
                AgentStep::Answer(challenge) => {
                    let nonce = challenge.nonce;
                    let hello = machine.hello(|hello| hello.nonce = nonce);
                    agent.tell(AgentEvent::Hello(Box::new(hello)));
                }
                _ => {}
            }
        }
    }
}
