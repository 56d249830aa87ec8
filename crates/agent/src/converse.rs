//! One connection from the first frame to the end: the conversation's machine on a socket.

use std::collections::VecDeque;

use opencpm_domain::{Span, Timestamp};
use opencpm_protocol::conversation::{AgentConversation, AgentEvent, AgentStep, Breach, Pinned};
use opencpm_protocol::message::Goodbye;
use opencpm_protocol::sign::Signed;
use opencpm_protocol::statement::TrustStatement;
use opencpm_protocol::tls::TlsError;

use crate::clock::Clock;
use crate::connection::{Connection, ConnectionError, Incoming};
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
    mut connection: Connection<'_>,
    pinned: Pinned,
    clock: &dyn Clock,
    party: &mut dyn Party,
) -> Result<(), EndError> {
    let mut trusted = false;
    let ended = turns(&mut connection, &mut trusted, pinned, clock, party);
    // Whoever was not trusted does not even hear a farewell.
    if trusted {
        connection.close();
    }
    ended
}

fn turns(
    connection: &mut Connection<'_>,
    trusted: &mut bool,
    pinned: Pinned,
    clock: &dyn Clock,
    party: &mut dyn Party,
) -> Result<(), EndError> {
    // The conversation measures time; a clock that jumps must not end it.
    let now = || Timestamp::from_micros(clock.since_boot().as_micros());
    let mut conversation = AgentConversation::open(pinned, now());
    loop {
        let due = Span::from_micros(conversation.due().as_micros());
        let incoming = connection.receive(due, *trusted)?;
        let (mut next, steps) = match &incoming {
            Incoming::Frame(frame) => conversation.handle(AgentEvent::Frame(frame), now()),
            Incoming::Ping => conversation.handle(AgentEvent::Ping, now()),
            Incoming::Nothing => conversation.handle(AgentEvent::Tick, now()),
            Incoming::Closed => return Err(EndError::Closed),
        };
        let mut steps = VecDeque::from(steps);
        let mut rested = false;
        loop {
            while let Some(step) = steps.pop_front() {
                let enrolled = matches!(step, AgentStep::Enrolled(_));
                for event in take(step, connection, party)? {
                    *trusted |= matches!(event, AgentEvent::Trusted);
                    let (after, more) = next.handle(event, now());
                    next = after;
                    steps.extend(more);
                }
                if enrolled {
                    return Ok(());
                }
            }
            if rested || !next.is_live() {
                break;
            }
            rested = true;
            for event in party.rest() {
                let (after, more) = next.handle(event, now());
                next = after;
                steps.extend(more);
            }
        }
        conversation = next;
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
