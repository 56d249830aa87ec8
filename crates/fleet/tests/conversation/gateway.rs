//! The gateway's end of a device's connections, driven by hand.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use getrandom::SysRng;
use opencpm_domain::{
    AppId, DeploymentId, Generation, InstanceId, JobId, Password, PasswordPolicy, Sequence, Span,
    Timestamp,
};
use opencpm_fleet::{Fault, Fleet, FleetError, Plan, Seed, Wire};
use opencpm_protocol::conversation::{Recognised, ServerConversation, ServerEvent, ServerStep};
use opencpm_protocol::key::{AuthorityKey, SealingPublic, SigningKey, VerifyingKey};
use opencpm_protocol::message::{Enrolled, JobFrame, ToAgent, Welcome};
use opencpm_protocol::report::{Report, SealingCertificate};
use opencpm_protocol::seal::{SealContext, Verb, seal};
use opencpm_protocol::sign::Signed;
use opencpm_protocol::statement::TrustStatement;
use opencpm_protocol::token::EnrolmentToken;
use rand_core::UnwrapErr;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tungstenite::Message;

pub const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const HERE: DeploymentId = DeploymentId::from_bytes([1; 16]);
const NONCE: [u8; 32] = [3; 32];

pub fn root() -> SigningKey {
    SigningKey::from_bytes(&[2; 32])
}

pub fn authority() -> AuthorityKey {
    AuthorityKey::from_bytes(&[4; 32]).unwrap()
}

pub fn instance() -> InstanceId {
    InstanceId::parse("cpm-simulated").unwrap()
}

/// What the gateway knows of the one device.
pub struct Gateway {
    dials: mpsc::UnboundedReceiver<(Wire, oneshot::Sender<()>)>,
    pub fleet: JoinHandle<Result<Fleet, FleetError>>,
    pub identity: Option<VerifyingKey>,
    /// The certificate that the device showed last.
    pub sealing: Option<SealingCertificate>,
}

impl Gateway {
    /// A fleet of one device that has not dialled yet.
    pub fn with(fault: Option<Fault>) -> Self {
        let mut rng = UnwrapErr(SysRng);
        let addresses = vec!["localhost:1".to_owned()];
        let token = EnrolmentToken::generate(&mut rng, root().public(), HERE, addresses, None);
        let token = token.unwrap();
        let (dialled, dials) = mpsc::unbounded_channel();
        let dial = move |wire| {
            let dialled = dialled.clone();
            async move {
                let (end, ended) = oneshot::channel::<()>();
                dialled.send((wire, end)).unwrap();
                let _ = ended.await;
            }
        };
        let faults = fault.into_iter().collect();
        let plan = Plan { devices: 1, seed: Seed::from_bytes([5; 32]), faults };
        let fleet = tokio::spawn(async move { Fleet::start(plan, &token, || NOW, dial).await });
        Self { dials, fleet, identity: None, sealing: None }
    }

    /// The device's next connection; `None` when it never comes back.
    pub async fn dialled(&mut self) -> Option<Line> {
        let (wire, end) = self.dials.recv().await?;
        let statement = Signed::sign(&statement(), &root());
        let (conversation, steps) = ServerConversation::open(HERE, statement, NONCE, NOW);
        let mut line = Line { wire, conversation: Some(conversation), end };
        line.perform(steps).await;
        Some(line)
    }

    /// Makes the device one.
    pub async fn enrol(&mut self) {
        let mut line = self.dialled().await.unwrap();
        let Some(ServerStep::Enrol { request, .. }) = line.next().await else {
            panic!("no enrolment")
        };
        self.identity = Some(request.identity);
        let enrolled = Enrolled {
            instance: instance(),
            account: AppId::new(7).unwrap(),
            identity_generation: Generation::FIRST,
            gateways: Vec::new(),
        };
        line.tell(ServerEvent::Enrolled(enrolled)).await;
        assert!(line.next().await.is_none(), "the device hangs up");
    }

    /// Gives the device its place.
    pub async fn welcome(&mut self) -> Line {
        let mut line = self.dialled().await.unwrap();
        let Some(ServerStep::Recognise(named)) = line.next().await else { panic!("no hello") };
        assert_eq!(named, instance());
        let identity = self.identity.unwrap();
        let recognised = Recognised { identity, generation: Generation::FIRST };
        let Some(ServerStep::Bind(hello)) = line.tell(ServerEvent::Recognised(recognised)).await
        else {
            panic!("the hello is not signed by the device")
        };
        self.sealing = hello.sealing.verify(&identity).ok();
        let welcome = Welcome {
            sealing_generation: Generation::FIRST,
            account: AppId::new(7).unwrap(),
            gateways: Vec::new(),
        };
        line.tell(ServerEvent::Bound(welcome)).await;
        line
    }

    /// A device that is enrolled and connected.
    pub async fn live(fault: Option<Fault>) -> (Self, Line) {
        let mut gateway = Self::with(fault);
        gateway.enrol().await;
        let line = gateway.welcome().await;
        (gateway, line)
    }

    /// A job for the device, sealed to the key that it showed last.
    pub fn job(&self, number: u8) -> JobFrame {
        self.sealed(number, |_| {}, &authority())
    }

    /// The same, sealed under another description or by another authority.
    pub fn sealed(
        &self,
        number: u8,
        change: impl FnOnce(&mut SealContext),
        authority: &AuthorityKey,
    ) -> JobFrame {
        let sealing = self.sealing.as_ref().unwrap();
        let mut context = SealContext {
            deployment: HERE,
            account: AppId::new(7).unwrap(),
            instance: instance(),
            identity_generation: Generation::FIRST,
            sealing_generation: sealing.generation,
            verb: Verb::SetRootPassword,
            job: JobId::from_bytes([number; 16]),
            sequence: Sequence::new(number.into()),
            issued_at: NOW,
            not_after: NOW + Span::from_secs(60),
        };
        change(&mut context);
        let key: SealingPublic = sealing.key;
        let password = Password::new("N3w!pass@word".into(), PasswordPolicy::Seed).unwrap();
        let mut rng = UnwrapErr(SysRng);
        JobFrame {
            sealed: seal(&password, &context, &key, authority, &mut rng).unwrap(),
            job: context.job,
            sequence: context.sequence,
            identity_generation: context.identity_generation,
            sealing_generation: context.sealing_generation,
            verb: context.verb.number(),
            issued_at: context.issued_at,
            not_after: context.not_after,
            authority: authority.public().key_id(),
        }
    }
}

fn statement() -> TrustStatement {
    TrustStatement {
        deployment: HERE,
        generation: Generation::FIRST,
        authorities: vec![authority().public()],
        row_keys: Vec::new(),
        tls_authorities: Vec::new(),
        longest_deadline: Span::from_secs(3600),
        valid_from: NOW,
        valid_until: NOW + Span::from_secs(1_000),
    }
}

/// One connection. Dropping it ends it.
pub struct Line {
    wire: Wire,
    conversation: Option<ServerConversation>,
    end: oneshot::Sender<()>,
}

impl Line {
    /// What the device wants next; `None` when it has hung up.
    pub async fn next(&mut self) -> Option<ServerStep> {
        loop {
            let message = soon(self.wire.next()).await?.unwrap();
            let step = match message {
                Message::Binary(frame) => self.tell(ServerEvent::Frame(&frame)).await,
                Message::Pong(_) => self.tell(ServerEvent::Pong).await,
                other => panic!("{other:?}"),
            };
            if step.is_some() {
                return step;
            }
        }
    }

    /// Tells the gateway's conversation; the step that is left to do, if any.
    pub async fn tell(&mut self, event: ServerEvent<'_>) -> Option<ServerStep> {
        let conversation = self.conversation.take().unwrap();
        let (conversation, steps) = conversation.handle(event, NOW);
        self.conversation = Some(conversation);
        self.perform(steps).await
    }

    async fn perform(&mut self, steps: Vec<ServerStep>) -> Option<ServerStep> {
        let mut left = None;
        for step in steps {
            match step {
                ServerStep::Send(frame) => self.send(Message::Binary(frame.into())).await,
                ServerStep::Close(None) => self.wire.close().await.unwrap(),
                ServerStep::Close(Some(breach)) => panic!("{breach}"),
                step => left = Some(step),
            }
        }
        left
    }

    async fn send(&mut self, message: Message) {
        self.wire.send(message).await.unwrap();
    }

    /// Hands a job over.
    pub async fn deliver(&mut self, job: &JobFrame) {
        self.tell(ServerEvent::Deliver(Box::new(job.clone()))).await;
    }

    /// Hands a job over past the gateway's conversation, and waits for the report.
    pub async fn answer(&mut self, job: &JobFrame) -> Report {
        self.send(Message::Binary(ToAgent::Job(job.clone()).encode().into())).await;
        self.report().await.read_unverified().unwrap()
    }

    /// The report that comes next. The conversation has verified it under the device's key.
    pub async fn report(&mut self) -> Signed<Report> {
        match self.next().await {
            Some(ServerStep::Report(report)) => *report,
            other => panic!("no report but {other:?}"),
        }
    }

    /// Waits until the device has let go of this connection.
    pub async fn left(mut self) -> bool {
        soon(self.end.closed()).await;
        true
    }

    /// True when the device answers a ping and says nothing before.
    pub async fn is_silent(&mut self) -> bool {
        self.send(Message::Ping(Vec::new().into())).await;
        matches!(soon(self.wire.next()).await, Some(Ok(Message::Pong(_))))
    }
}

/// Fails a test that waits for something that never happens.
pub async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(600), what).await.expect("it happens in time")
}
