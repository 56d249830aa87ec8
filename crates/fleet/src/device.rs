//! What a device knows, and what it does. Neither input nor output; the time comes in.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opencpm_domain::{
    AppId, DeploymentId, Generation, InstanceId, JobId, Reason, Sequence, Timestamp,
};
use opencpm_protocol::conversation::{AgentEvent, AgentStep, Pinned};
use opencpm_protocol::job::{Recipient, check_time, password};
use opencpm_protocol::key::{SigningKey, VerifyingKey};
use opencpm_protocol::message::{
    Challenge, Enrol, EnrolRequest, Enrolled, Facts, Farewell, Hello, JobFrame, PROTOCOL_VERSION,
    Welcome,
};
use opencpm_protocol::report::{Report, SealingCertificate};
use opencpm_protocol::sign::Signed;
use opencpm_protocol::statement::TrustStatement;
use opencpm_protocol::token::EnrolmentToken;
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;
use zeroize::Zeroizing;

use crate::fault::Fault;
use crate::seed::Seed;

/// The time of day.
pub(crate) type Clock = Box<dyn Fn() -> Timestamp + Send + Sync>;

/// What all devices of a fleet have in common.
pub(crate) struct Site {
    /// What their connections go by.
    pub(crate) clock: Clock,
    /// Hears of every device that has its place.
    pub(crate) arrivals: UnboundedSender<(u32, InstanceId)>,
    root: VerifyingKey,
    deployment: DeploymentId,
    secret: Zeroizing<[u8; 32]>,
    seed: Seed,
    /// The statement that came last: one for all that hold the same.
    trust: Mutex<Option<Arc<TrustStatement>>>,
}

impl Site {
    /// A fleet of the token's deployment, with the keys of this seed.
    pub(crate) fn new(
        token: &EnrolmentToken,
        seed: Seed,
        clock: Clock,
        arrivals: UnboundedSender<(u32, InstanceId)>,
    ) -> Self {
        Self {
            clock,
            arrivals,
            root: token.root,
            deployment: token.deployment,
            secret: (*token.secret()).into(),
            seed,
            trust: Mutex::default(),
        }
    }

    fn share(&self, statement: TrustStatement) -> Arc<TrustStatement> {
        let mut shared = self.trust.lock().unwrap_or_else(PoisonError::into_inner);
        match &*shared {
            Some(held) if **held == statement => Arc::clone(held),
            _ => Arc::clone(shared.insert(Arc::new(statement))),
        }
    }
}

/// One simulated device, or a machine that wants to become one.
pub(crate) struct Device {
    pub(crate) site: Arc<Site>,
    /// How its last connection went.
    pub(crate) standing: Standing,
    /// Its gateway asked it to move.
    pub(crate) wants_to_move: bool,
    /// It was welcomed, or asked to move.
    pub(crate) news: Arc<Notify>,
    number: u32,
    fault: Option<Fault>,
    key: SigningKey,
    identity: Option<Identity>,
    trust: Option<Arc<TrustStatement>>,
    /// The generation of the sealing key in use.
    sealing: Generation,
    highest: Sequence,
    forgotten: Sequence,
    /// The last job, and older ones whose reports nobody acknowledged. Oldest first.
    done: Vec<Done>,
}

/// How a connection went so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The server has decided nothing.
    Unheard,
    /// The machine is a device now.
    Enrolled,
    /// The device has its place.
    Welcome,
    /// The server said goodbye, for a reason that may be new to this version.
    Dismissed(Option<Farewell>),
    /// The device's fault keeps it away for good.
    Gone,
}

/// Which device it is, as the server said.
struct Identity {
    instance: InstanceId,
    account: AppId,
    generation: Generation,
}

/// A job that was done or refused.
struct Done {
    job: JobId,
    sequence: Sequence,
    report: Signed<Report>,
    kept: bool,
}

/// What a device does next.
pub(crate) enum Act {
    /// Tells its conversation.
    Say(AgentEvent<'static>),
    /// Says what it owes, after this.
    Owe(Duration),
    /// Ends the connection without a word.
    HangUp,
}

impl Device {
    /// The machine with this number. Keys come from the site's seed.
    pub(crate) fn new(site: Arc<Site>, number: u32, fault: Option<Fault>) -> Self {
        Self {
            key: site.seed.identity(number),
            site,
            standing: Standing::Unheard,
            wants_to_move: false,
            news: Arc::default(),
            number,
            fault,
            identity: None,
            trust: None,
            sealing: Generation::FIRST,
            highest: Sequence::default(),
            forgotten: Sequence::default(),
            done: Vec::new(),
        }
    }

    /// Opens a connection, with this.
    pub(crate) fn dial(&mut self) -> Pinned {
        self.standing = Standing::Unheard;
        self.wants_to_move = false;
        Pinned {
            root: self.site.root,
            deployment: self.site.deployment,
            generation: self.trust.as_ref().map(|trust| trust.generation),
        }
    }

    /// Does one step that is not about the connection itself.
    pub(crate) fn step(&mut self, step: AgentStep, now: Timestamp) -> Vec<Act> {
        match step {
            AgentStep::Judge { statement, .. } => {
                self.trust = Some(self.site.share(*statement));
                vec![Act::Say(AgentEvent::Trusted)]
            }
            AgentStep::Answer(challenge) => {
                self.answer(&challenge, now).map(Act::Say).into_iter().collect()
            }
            AgentStep::Enrolled(enrolled) => {
                let Enrolled { instance, account, identity_generation: generation, .. } = enrolled;
                self.identity = Some(Identity { instance, account, generation });
                self.standing = Standing::Enrolled;
                vec![Act::HangUp]
            }
            AgentStep::Welcome(welcome) => self.welcome(&welcome),
            AgentStep::Job(frame) => self.job(&frame, now),
            AgentStep::ReportsKept(jobs) => {
                let kept = self.done.iter_mut().filter(|done| jobs.contains(&done.job));
                kept.for_each(|done| done.kept = true);
                self.forget();
                Vec::new()
            }
            AgentStep::Goodbye(goodbye) => {
                self.standing = Standing::Dismissed(Farewell::from_number(goodbye.why));
                vec![Act::HangUp]
            }
            AgentStep::Close(breach) => {
                let error = &breach as &dyn std::error::Error;
                tracing::warn!(device = self.number, error, "the gateway broke the protocol");
                vec![Act::HangUp]
            }
            AgentStep::Move => {
                self.wants_to_move = true;
                self.news.notify_one();
                Vec::new()
            }
            AgentStep::Send(_) | AgentStep::SealingKeyKept(_) => Vec::new(),
        }
    }

    /// What the server has not acknowledged.
    pub(crate) fn owed(&self) -> Vec<AgentEvent<'static>> {
        let owed = self.done.iter().filter(|done| !done.kept);
        owed.map(|done| report(&done.report)).collect()
    }

    /// A hello, or the request to become a device.
    fn answer(&self, challenge: &Challenge, now: Timestamp) -> Option<AgentEvent<'static>> {
        let (nonce, deployment) = (challenge.nonce, self.site.deployment);
        let sealing = self.certificate(self.sealing, now)?;
        let (facts, version) = (self.facts(), PROTOCOL_VERSION);
        let Some(Identity { instance, generation, .. }) = &self.identity else {
            let identity = self.key.public();
            let request = EnrolRequest { nonce, deployment, identity, sealing, facts, version };
            let request = Signed::sign(&request, &self.key);
            let enrol = Enrol { secret: self.site.secret.clone(), request };
            return Some(AgentEvent::Enrol(Box::new(enrol)));
        };
        let hello = Hello {
            nonce,
            deployment,
            instance: instance.clone(),
            identity_generation: *generation,
            version,
            statement_generation: self.trust.as_ref().map_or(Generation::FIRST, |t| t.generation),
            highest_sequence: self.highest,
            sealing,
            boot: String::new(),
            time: now,
            facts,
            since_boot: None,
        };
        Some(AgentEvent::Hello(Box::new(Signed::sign(&hello, &self.key))))
    }

    fn welcome(&mut self, welcome: &Welcome) -> Vec<Act> {
        if let Some(identity) = &mut self.identity {
            identity.account = welcome.account;
            // Nobody listens any more once the fleet is complete.
            let _ = self.site.arrivals.send((self.number, identity.instance.clone()));
        }
        self.standing = Standing::Welcome;
        self.news.notify_one();
        match (self.owed(), self.fault) {
            (owed, Some(Fault::Late(after))) if !owed.is_empty() => vec![Act::Owe(after)],
            (owed, _) => owed.into_iter().map(Act::Say).collect(),
        }
    }

    /// Does the job, or answers from memory, as far as its fault lets it.
    fn job(&mut self, frame: &JobFrame, now: Timestamp) -> Vec<Act> {
        if let Some(done) = self.done.iter().find(|done| done.job == frame.job) {
            let waits = !done.kept && matches!(self.fault, Some(Fault::Late(_)));
            return if waits { Vec::new() } else { vec![Act::Say(report(&done.report))] };
        }
        match self.fault {
            Some(Fault::Silent) => return Vec::new(),
            Some(Fault::Vanishes) => {
                self.standing = Standing::Gone;
                return vec![Act::HangUp];
            }
            Some(Fault::Breaks | Fault::Late(_) | Fault::Fails(_)) | None => {}
        }
        let Some(signed) = self.perform(frame, now) else { return Vec::new() };
        let said = Act::Say(report(&signed));
        self.done.push(Done {
            job: frame.job,
            sequence: frame.sequence,
            report: signed,
            kept: false,
        });
        self.forget();
        vec![match self.fault {
            Some(Fault::Breaks) => Act::HangUp,
            Some(Fault::Late(after)) => Act::Owe(after),
            _ => said,
        }]
    }

    /// From the frame to the signed report. One of success carries the next sealing key.
    fn perform(&mut self, frame: &JobFrame, now: Timestamp) -> Option<Signed<Report>> {
        let outcome = self.accept(frame, now)?;
        let applied = outcome.is_ok();
        let next = applied.then(|| self.certificate(self.sealing.next(), now)).flatten();
        if next.is_some() {
            self.sealing = self.sealing.next();
        }
        let identity = self.identity.as_ref()?;
        let report = Report {
            deployment: self.site.deployment,
            instance: identity.instance.clone(),
            identity_generation: identity.generation,
            job: frame.job,
            sequence: frame.sequence,
            applied,
            reason: outcome.err().map(Reason::number),
            advice: Vec::new(),
            at: now,
            scheme: None,
            next_sealing: next,
        };
        Some(Signed::sign(&report, &self.key))
    }

    /// Opens the job and checks it as an agent does. There is no file in which the password could
    /// be set, so it is dropped. `None` for a machine that is no device.
    fn accept(&mut self, frame: &JobFrame, now: Timestamp) -> Option<Result<(), Reason>> {
        let identity = self.identity.as_ref()?;
        let recipient = Recipient {
            deployment: self.site.deployment,
            account: identity.account,
            instance: &identity.instance,
            identity_generation: identity.generation,
            trust: self.trust.as_deref(),
            highest: self.highest,
            forgotten: self.forgotten,
            now,
        };
        let key = |generation| self.site.seed.sealing(self.number, generation);
        let opened = match recipient.open(frame, key) {
            Ok(opened) => opened,
            Err(unopened) => return Some(Err(unopened.reason())),
        };
        self.highest = frame.sequence;
        // In a fleet that was started again the server knows a later key. The seed has them all.
        self.sealing = self.sealing.max(frame.sealing_generation);
        let checked = check_time(now, frame.not_after, false).and_then(|()| password(opened));
        Some(match (checked, self.fault) {
            (Ok(_), Some(Fault::Fails(reason))) => Err(reason),
            (checked, _) => checked.map(drop),
        })
    }

    /// Of what the server has, only the last job is remembered.
    fn forget(&mut self) {
        let Some(last) = self.done.last().map(|done| done.job) else { return };
        let forgotten = &mut self.forgotten;
        self.done.retain(|done| {
            let stays = !done.kept || done.job == last;
            if !stays {
                *forgotten = done.sequence.max(*forgotten);
            }
            stays
        });
    }

    fn certificate(
        &self,
        generation: Generation,
        made: Timestamp,
    ) -> Option<Signed<SealingCertificate>> {
        let key = self.site.seed.sealing(self.number, generation)?.public();
        let certificate = SealingCertificate { identity: self.key.public(), generation, key, made };
        Some(Signed::sign(&certificate, &self.key))
    }

    /// Every device has a name and an address of its own, so that lists can be searched.
    fn facts(&self) -> Facts {
        let [_, a, b, c] = self.number.to_be_bytes();
        Facts {
            hostname: format!("simulated-{:06}", self.number + 1),
            addresses: vec![Ipv4Addr::new(10, a, b, c).to_string()],
            os: "simulated".to_owned(),
            agent: env!("CARGO_PKG_VERSION").to_owned(),
            ..Facts::default()
        }
    }
}

fn report(signed: &Signed<Report>) -> AgentEvent<'static> {
    AgentEvent::Report(Box::new(signed.clone()))
}
