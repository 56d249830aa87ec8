//! The agent's side.

use opencpm_domain::{DeploymentId, Generation, JobId, Timestamp};

use super::{Breach, HANDSHAKE_LIMIT, SILENCE_LIMIT};
use crate::key::VerifyingKey;
use crate::message::{
    Challenge, Enrol, Enrolled, Goodbye, Hello, JobFrame, ToAgent, ToServer, Welcome,
};
use crate::report::{Report, SealingCertificate};
use crate::sign::Signed;
use crate::statement::TrustStatement;

/// What the agent knows before it has heard anything.
#[derive(Clone, Debug)]
pub struct Pinned {
    /// The root key, from the enrolment token.
    pub root: VerifyingKey,
    /// The installation, from the enrolment token.
    pub deployment: DeploymentId,
    /// The highest statement generation that it holds.
    pub generation: Option<Generation>,
}

/// One connection to a gateway, seen from the agent.
#[derive(Debug)]
pub struct AgentConversation {
    pinned: Pinned,
    opened: Timestamp,
    heard: Timestamp,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    AwaitingStatement,
    /// The chain is being judged.
    Judging,
    AwaitingChallenge,
    /// Hello or enrolment is being made and signed.
    Challenged,
    AwaitingWelcome,
    AwaitingEnrolled,
    Live,
    Closed,
}

/// What happened.
#[derive(Debug)]
pub enum AgentEvent<'a> {
    /// A frame came.
    Frame(&'a [u8]),
    /// A ping came; whoever drives the socket has answered it.
    Ping,
    /// The answer to [`AgentStep::Judge`]: the chain is good under this statement.
    Trusted,
    /// One answer to [`AgentStep::Answer`].
    Hello(Box<Signed<Hello>>),
    /// The other answer to [`AgentStep::Answer`].
    Enrol(Box<Enrol>),
    /// A result is to go out.
    Report(Box<Signed<Report>>),
    /// A new sealing key is to go out.
    SealingKey(Box<Signed<SealingCertificate>>),
    /// The time of [`AgentConversation::due`] has come.
    Tick,
}

/// What to do next, in order.
#[derive(Debug)]
pub enum AgentStep {
    /// Send this frame.
    Send(Vec<u8>),
    /// The statement verified under the root key and is not older than the one held: keep it,
    /// and judge the server's chain by it. Answer with `Trusted`, or close.
    Judge {
        /// As it came, to be kept.
        signed: Box<Signed<TrustStatement>>,
        /// What it says.
        statement: Box<TrustStatement>,
    },
    /// Answer the challenge with `Hello` or `Enrol`.
    Answer(Challenge),
    /// The machine is a device now. The server closes.
    Enrolled(Enrolled),
    /// Live: send what was not acknowledged.
    Welcome(Welcome),
    /// A job to do, or to answer from the record.
    Job(Box<JobFrame>),
    /// These reports need not be sent again.
    ReportsKept(Vec<JobId>),
    /// The server uses this sealing key from now on.
    SealingKeyKept(Generation),
    /// The gateway is going away: be welcome at another one, then leave.
    Move,
    /// The server closes, and says why.
    Goodbye(Goodbye),
    /// Close the connection; the breach is for the log.
    Close(Breach),
}

impl Pinned {
    /// What the statement says, if the root key signed it for this installation and it is not
    /// older than the one held. From then on it is the one held.
    pub(super) fn check(
        &mut self,
        signed: &Signed<TrustStatement>,
    ) -> Result<TrustStatement, Breach> {
        let statement = signed.verify(&self.root).map_err(|e| Breach::Signature("statement", e))?;
        if statement.deployment != self.deployment {
            return Err(Breach::Other("installation"));
        }
        if self.generation.is_some_and(|held| statement.generation < held) {
            return Err(Breach::OldStatement);
        }
        self.generation = Some(statement.generation);
        Ok(statement)
    }
}

impl AgentConversation {
    /// A new connection. Nothing goes out before the server was judged.
    pub const fn open(pinned: Pinned, now: Timestamp) -> Self {
        Self { pinned, opened: now, heard: now, state: State::AwaitingStatement }
    }

    /// True once the server has said welcome.
    pub fn is_live(&self) -> bool {
        self.state == State::Live
    }

    /// When to call with [`AgentEvent::Tick`] at the latest.
    pub fn due(&self) -> Timestamp {
        match self.state {
            State::Live => self.heard + SILENCE_LIMIT,
            _ => self.opened + HANDSHAKE_LIMIT,
        }
    }

    /// The next state, and what to do.
    pub fn handle(mut self, event: AgentEvent<'_>, now: Timestamp) -> (Self, Vec<AgentStep>) {
        if matches!(event, AgentEvent::Frame(_) | AgentEvent::Ping) {
            self.heard = now;
        }
        match self.step(event, now) {
            Ok((state, steps)) => {
                self.state = state;
                (self, steps)
            }
            Err(breach) => {
                self.state = State::Closed;
                (self, vec![AgentStep::Close(breach)])
            }
        }
    }

    fn step(
        &mut self,
        event: AgentEvent<'_>,
        now: Timestamp,
    ) -> Result<(State, Vec<AgentStep>), Breach> {
        let state = self.state;
        match (state, event) {
            (State::Closed, _) | (_, AgentEvent::Ping) => Ok((state, Vec::new())),
            (_, AgentEvent::Tick) => self.tick(now),
            (_, AgentEvent::Frame(frame)) => match ToAgent::decode(frame)? {
                Some(message) => self.message(message),
                None => Ok((state, Vec::new())),
            },
            (State::Judging, AgentEvent::Trusted) => Ok((State::AwaitingChallenge, Vec::new())),
            (State::Challenged, AgentEvent::Hello(hello)) => {
                Ok((State::AwaitingWelcome, vec![send(ToServer::Hello(*hello))]))
            }
            (State::Challenged, AgentEvent::Enrol(enrol)) => {
                Ok((State::AwaitingEnrolled, vec![send(ToServer::Enrol(*enrol))]))
            }
            (State::Live, AgentEvent::Report(report)) => {
                Ok((state, vec![send(ToServer::Report(*report))]))
            }
            (State::Live, AgentEvent::SealingKey(certificate)) => {
                Ok((state, vec![send(ToServer::SealingKey(*certificate))]))
            }
            // Said too early or too late: it is kept and said again after the next welcome.
            (_, _) => Ok((state, Vec::new())),
        }
    }

    fn tick(&self, now: Timestamp) -> Result<(State, Vec<AgentStep>), Breach> {
        match self.state {
            State::Live if now >= self.heard + SILENCE_LIMIT => Err(Breach::Silence),
            State::Live => Ok((self.state, Vec::new())),
            _ if now >= self.opened + HANDSHAKE_LIMIT => Err(Breach::SlowHandshake),
            _ => Ok((self.state, Vec::new())),
        }
    }

    fn message(&mut self, message: ToAgent) -> Result<(State, Vec<AgentStep>), Breach> {
        let state = self.state;
        match (state, message) {
            (State::Closed, _) => Ok((state, Vec::new())),
            (_, ToAgent::Goodbye(goodbye)) if state != State::AwaitingStatement => {
                Ok((State::Closed, vec![AgentStep::Goodbye(goodbye)]))
            }
            (State::AwaitingStatement, ToAgent::Statement(signed)) => {
                Ok((State::Judging, vec![self.statement(signed)?]))
            }
            (State::AwaitingChallenge, ToAgent::Challenge(challenge)) => {
                Ok((State::Challenged, vec![AgentStep::Answer(challenge)]))
            }
            (State::AwaitingWelcome, ToAgent::Welcome(welcome)) => {
                Ok((State::Live, vec![AgentStep::Welcome(welcome)]))
            }
            (State::AwaitingEnrolled, ToAgent::Enrolled(enrolled)) => {
                Ok((State::Closed, vec![AgentStep::Enrolled(enrolled)]))
            }
            (State::Live, message) => self.live(message),
            (_, message) => Err(Breach::OutOfTurn(name(&message))),
        }
    }

    fn live(&mut self, message: ToAgent) -> Result<(State, Vec<AgentStep>), Breach> {
        let step = match message {
            ToAgent::Job(job) => AgentStep::Job(Box::new(job)),
            ToAgent::ReportsKept(kept) => {
                AgentStep::ReportsKept(kept.jobs.iter().map(|kept| kept.0).collect())
            }
            ToAgent::SealingKeyKept(kept) => AgentStep::SealingKeyKept(kept.generation),
            ToAgent::Move(_) => AgentStep::Move,
            other => return Err(Breach::OutOfTurn(name(&other))),
        };
        Ok((State::Live, vec![step]))
    }

    fn statement(&mut self, signed: Signed<TrustStatement>) -> Result<AgentStep, Breach> {
        let statement = self.pinned.check(&signed)?;
        Ok(AgentStep::Judge { signed: Box::new(signed), statement: Box::new(statement) })
    }
}

fn send(message: ToServer) -> AgentStep {
    AgentStep::Send(message.encode())
}

const fn name(message: &ToAgent) -> &'static str {
    match message {
        ToAgent::Statement(_) => "a statement",
        ToAgent::Challenge(_) => "a challenge",
        ToAgent::Enrolled(_) => "an enrolment",
        ToAgent::Welcome(_) => "a welcome",
        ToAgent::Job(_) => "a job",
        ToAgent::ReportsKept(_) => "an acknowledgement",
        ToAgent::SealingKeyKept(_) => "a sealing key's acknowledgement",
        ToAgent::Goodbye(_) => "a goodbye",
        ToAgent::Certified(_) => "a node's certificate",
        ToAgent::Move(_) => "a request to move",
    }
}
