use futures_util::{SinkExt, StreamExt};
use opencpm_domain::{DeploymentId, Generation, InstanceId, JobId, Sequence, Timestamp};
use opencpm_gateway::{Operations, Transport};
use opencpm_protocol::conversation::{AgentConversation, AgentEvent, AgentStep, Pinned};
use opencpm_protocol::key::{SealingKey, SigningKey};
use opencpm_protocol::message::{
    Challenge, Enrol, EnrolRequest, Facts, Farewell, Hello, PROTOCOL_VERSION,
};
use opencpm_protocol::report::{Report, SealingCertificate};
use opencpm_protocol::sign::Signed;
use tokio_tungstenite::tungstenite::Message;

use super::fake::Fake;
use super::soon;

/// Long enough after the fake's start that no handshake is due, and no silence.
const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

/// A machine with its keys.
#[derive(Clone)]
pub struct Device {
    pub instance: InstanceId,
    pub identity: std::sync::Arc<SigningKey>,
    pub sealing: std::sync::Arc<SealingKey>,
}

impl Device {
    /// The keys of device `number`.
    pub fn new(number: u16) -> Self {
        let [a, b] = number.to_be_bytes();
        let mut seed = [0x55; 32];
        seed[..2].copy_from_slice(&[a, b]);
        Self {
            instance: InstanceId::parse(&format!("cpm-{number:08}")).unwrap(),
            identity: SigningKey::from_bytes(&seed).into(),
            sealing: SealingKey::from_bytes(&seed).unwrap().into(),
        }
    }

    /// The same, known to the store.
    pub fn enrolled(number: u16, fake: &Fake) -> Self {
        let device = Self::new(number);
        fake.enrol_device(&device);
        device
    }

    pub fn certificate(&self, generation: u32) -> Signed<SealingCertificate> {
        let certificate = SealingCertificate {
            identity: self.identity.public(),
            generation: Generation::new(generation).unwrap(),
            key: self.sealing.public(),
            made: NOW,
        };
        Signed::sign(&certificate, &self.identity)
    }

    pub fn hello(&self, nonce: [u8; 32], deployment: DeploymentId) -> Signed<Hello> {
        let hello = Hello {
            nonce,
            deployment,
            instance: self.instance.clone(),
            identity_generation: Generation::FIRST,
            version: PROTOCOL_VERSION,
            statement_generation: Generation::FIRST,
            highest_sequence: Sequence::default(),
            sealing: self.certificate(1),
            boot: "boot".to_owned(),
            time: NOW,
            facts: Facts::default(),
            since_boot: None,
        };
        Signed::sign(&hello, &self.identity)
    }

    pub fn enrol(&self, secret: [u8; 32], nonce: [u8; 32], deployment: DeploymentId) -> Enrol {
        let request = EnrolRequest {
            nonce,
            deployment,
            identity: self.identity.public(),
            sealing: self.certificate(1),
            facts: Facts::default(),
            version: PROTOCOL_VERSION,
        };
        Enrol { secret: secret.into(), request: Signed::sign(&request, &self.identity) }
    }

    pub fn report(&self, job: JobId, deployment: DeploymentId) -> Signed<Report> {
        let report = Report {
            deployment,
            instance: self.instance.clone(),
            identity_generation: Generation::FIRST,
            job,
            sequence: Sequence::new(1),
            applied: true,
            reason: None,
            advice: Vec::new(),
            at: NOW,
            scheme: None,
            next_sealing: None,
        };
        Signed::sign(&report, &self.identity)
    }
}

/// An agent at its end of a connection.
pub struct Agent<T> {
    pub transport: T,
    conversation: Option<AgentConversation>,
    steps: std::collections::VecDeque<AgentStep>,
}

impl<T: Transport> Agent<T> {
    /// An agent that has heard nothing yet.
    pub fn open(transport: T, fake: &Fake) -> Self {
        let (root, deployment) = (fake.root.public(), fake.deployment);
        Self::pinned(transport, Pinned { root, deployment, generation: None })
    }

    /// The same, of whatever deployment.
    pub fn pinned(transport: T, pinned: Pinned) -> Self {
        let conversation = Some(AgentConversation::open(pinned, NOW));
        Self { transport, conversation, steps: Default::default() }
    }

    /// Connects and waits for the welcome.
    pub async fn connect(transport: T, device: &Device, fake: &Fake) -> Self {
        let mut agent = Self::open(transport, fake);
        let challenge = agent.challenge().await;
        let hello = device.hello(challenge.nonce, fake.deployment());
        agent.say(AgentEvent::Hello(Box::new(hello))).await;
        let step = agent.next().await;
        assert!(matches!(step, Some(AgentStep::Welcome(_))), "{step:?}");
        agent
    }

    /// Waits for the challenge.
    pub async fn challenge(&mut self) -> Challenge {
        match self.next().await {
            Some(AgentStep::Answer(challenge)) => challenge,
            other => panic!("no challenge but {other:?}"),
        }
    }

    /// Tells the conversation, and sends what it says.
    pub async fn say(&mut self, event: AgentEvent<'_>) {
        let conversation = self.conversation.take().unwrap();
        let (conversation, steps) = conversation.handle(event, NOW);
        self.conversation = Some(conversation);
        for step in steps {
            match step {
                AgentStep::Send(frame) => {
                    // A gateway that is gone shows when it is listened to.
                    let _ = soon(self.transport.send(Message::Binary(frame.into()))).await;
                }
                step => self.steps.push_back(step),
            }
        }
    }

    /// The next thing that the server wants of the agent; `None` when it has closed.
    pub async fn next(&mut self) -> Option<AgentStep> {
        loop {
            match self.steps.pop_front() {
                Some(AgentStep::Judge { .. }) => Box::pin(self.say(AgentEvent::Trusted)).await,
                Some(step) => return Some(step),
                None => match soon(self.transport.next()).await? {
                    Ok(Message::Binary(frame)) => self.say(AgentEvent::Frame(&frame)).await,
                    Ok(Message::Close(_)) | Err(_) => return None,
                    Ok(_) => {}
                },
            }
        }
    }

    /// The farewell that comes next.
    pub async fn farewell(&mut self) -> Option<Farewell> {
        match self.next().await {
            Some(AgentStep::Goodbye(goodbye)) => Farewell::from_number(goodbye.why),
            other => panic!("no goodbye but {other:?}"),
        }
    }

    /// The job that comes next.
    pub async fn job(&mut self) -> JobId {
        match self.next().await {
            Some(AgentStep::Job(frame)) => frame.job,
            other => panic!("no job but {other:?}"),
        }
    }

    /// The acknowledgement that comes next.
    pub async fn kept(&mut self) -> Vec<JobId> {
        match self.next().await {
            Some(AgentStep::ReportsKept(jobs)) => jobs,
            other => panic!("no acknowledgement but {other:?}"),
        }
    }

    /// Sends a frame past the agent's conversation.
    pub async fn send_raw(&mut self, frame: Vec<u8>) {
        let _ = self.transport.send(Message::Binary(frame.into())).await;
    }
}
