//! One connection from the first frame to the end: the conversation's machine on a socket.

use std::collections::VecDeque;

use opencpm_domain::{Span, Timestamp};
use opencpm_protocol::conversation::{AgentConversation, AgentEvent, AgentStep, Breach, Pinned};
use opencpm_protocol::message::Goodbye;
use opencpm_protocol::sign::Signed;
use opencpm_protocol::statement::TrustStatement;
use opencpm_protocol::tls::TlsError;

use crate::clock::Clock;
use crate::connection::{Connection, ConnectionError, Incoming, after};
use crate::state::StateError;

/// Who speaks: a device, or a machine that wants to become one.
pub(crate) trait Party {
    /// Keeps a verified statement and tells the time for judging the server's certificate.
    fn learn(&mut self, signed: Signed<TrustStatement>, statement: &TrustStatement) -> Timestamp;

    /// Does one step that is not about the connection itself; what follows from it is returned.
    fn step(
        &mut self,
        step: AgentStep,
        connection: &Connection<'_>,
    ) -> Result<Vec<AgentEvent<'static>>, EndError>;

    /// Done after everything that came, while the conversation is live.
    fn rest(&mut self) -> Vec<AgentEvent<'static>> {
        Vec::new()
    }
}

/// Why a conversation ended.
#[derive(Debug, thiserror::Error)]
pub enum EndError {
    /// There was no connection, or it broke.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// The server's certificate is not good; it heard nothing of us.
    #[error("the server is not trusted")]
    Untrusted(#[source] TlsError),
    /// The server broke the protocol, or fell silent.
    #[error("the conversation with the server failed")]
    Breach(#[source] Breach),
    /// The server said goodbye.
    #[error("the server closed the connection: {}", farewell(.0))]
    Goodbye(Goodbye),
    /// The server closed without a word.
    #[error("the server closed the connection")]
    Closed,
    /// Something had to be durable before it was said.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Converses until the end. Nothing but the end of an enrolment is no error.
pub(crate) fn converse(
    connection: Connection<'_>,
    pinned: Pinned,
    clock: &dyn Clock,
    party: &mut dyn Party,
) -> Result<(), EndError> {
    let mut talk = Talk::open(connection, pinned, clock);
    let ended = loop {
        match talk.turn(party, None) {
            Ok(Turn::Done) => {}
            Ok(Turn::Enrolled) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    talk.close();
    ended
}

/// A conversation on its connection.
pub(crate) struct Talk<'c> {
    connection: Connection<'c>,
    clock: &'c dyn Clock,
    /// Never absent between two calls.
    conversation: Option<AgentConversation>,
    trusted: bool,
}

/// What became of a turn.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// What came was dealt with.
    Done,
    /// The machine is a device now, and everything is said.
    Enrolled,
}

impl<'c> Talk<'c> {
    /// Nothing was heard yet.
    pub(crate) fn open(connection: Connection<'c>, pinned: Pinned, clock: &'c dyn Clock) -> Self {
        // The conversation measures time; a clock that jumps must not end it.
        let now = Timestamp::from_micros(clock.since_boot().as_micros());
        let conversation = Some(AgentConversation::open(pinned, now));
        Self { connection, clock, conversation, trusted: false }
    }

    /// True once the server has said welcome.
    pub(crate) fn is_live(&self) -> bool {
        self.conversation.as_ref().is_some_and(AgentConversation::is_live)
    }

    /// Waits for what comes next, `patience` at most where it is given, and does what follows.
    pub(crate) fn turn(
        &mut self,
        party: &mut dyn Party,
        patience: Option<Span>,
    ) -> Result<Turn, EndError> {
        let incoming = self.connection.receive(self.until(patience), self.trusted)?;
        let steps = match &incoming {
            Incoming::Frame(frame) => self.tell(AgentEvent::Frame(frame)),
            Incoming::Ping => self.tell(AgentEvent::Ping),
            Incoming::Nothing => self.tell(AgentEvent::Tick),
            Incoming::Closed => return Err(EndError::Closed),
        };
        if self.perform(steps, party)? == Turn::Enrolled {
            return Ok(Turn::Enrolled);
        }
        if !self.is_live() {
            return Ok(Turn::Done);
        }
        let steps = party.rest().into_iter().flat_map(|event| self.tell(event)).collect();
        self.perform(steps, party)
    }

    /// Says that it ends here. Whoever was not trusted does not even hear that.
    pub(crate) fn close(self) {
        if self.trusted {
            self.connection.close();
        }
    }

    /// Time since boot.
    fn until(&self, patience: Option<Span>) -> Span {
        let due = self.conversation.as_ref().map_or(Timestamp::default(), AgentConversation::due);
        let due = Span::from_micros(due.as_micros());
        match patience {
            Some(patience) => due.min(after(self.clock, patience)),
            None => due,
        }
    }

    fn tell(&mut self, event: AgentEvent<'_>) -> Vec<AgentStep> {
        let Some(conversation) = self.conversation.take() else { return Vec::new() };
        let now = Timestamp::from_micros(self.clock.since_boot().as_micros());
        let (conversation, steps) = conversation.handle(event, now);
        self.conversation = Some(conversation);
        steps
    }

    fn perform(&mut self, steps: Vec<AgentStep>, party: &mut dyn Party) -> Result<Turn, EndError> {
        let mut steps = VecDeque::from(steps);
        while let Some(step) = steps.pop_front() {
            let enrolled = matches!(step, AgentStep::Enrolled(_));
            for event in take(step, &mut self.connection, party)? {
                self.trusted |= matches!(event, AgentEvent::Trusted);
                steps.extend(self.tell(event));
            }
            if enrolled {
                return Ok(Turn::Enrolled);
            }
        }
        Ok(Turn::Done)
    }
}

fn take(
    step: AgentStep,
    connection: &mut Connection<'_>,
    party: &mut dyn Party,
) -> Result<Vec<AgentEvent<'static>>, EndError> {
    match step {
        AgentStep::Send(frame) => connection.send(frame).map(|()| Vec::new()).map_err(Into::into),
        AgentStep::Judge { signed, statement } => {
            let time = party.learn(*signed, &statement);
            connection.judge(&statement, time).map_err(EndError::Untrusted)?;
            Ok(vec![AgentEvent::Trusted])
        }
        AgentStep::Goodbye(goodbye) => Err(EndError::Goodbye(goodbye)),
        AgentStep::Close(breach) => Err(EndError::Breach(breach)),
        other => party.step(other, connection),
    }
}

/// Characters of a server's sentence that reach the log.
const LONGEST_FAREWELL: usize = 200;

/// The server's own sentence, else the number's meaning.
fn farewell(goodbye: &Goodbye) -> String {
    use opencpm_protocol::message::Farewell;
    let meaning = match Farewell::from_number(goodbye.why) {
        Some(Farewell::Draining) => "it is going away",
        Some(Farewell::Replaced) => "a newer connection of this device took over",
        Some(Farewell::NotRecognised) => "it does not recognise this device",
        Some(Farewell::TokenRefused) => {
            "the token is unknown, used up, expired or made for another device"
        }
        Some(Farewell::Protocol) => "it understood us otherwise than we meant",
        Some(Farewell::Unavailable) => "it cannot look at this now",
        Some(Farewell::Retired) => "this device was retired",
        None => "for a reason that this version does not know",
    };
    if goodbye.text.is_empty() {
        meaning.to_owned()
    } else {
        let text: String = goodbye.text.chars().take(LONGEST_FAREWELL).collect();
        format!("{meaning} ({text:?})")
    }
}
