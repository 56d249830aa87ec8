//! A node without the API role, on its visit to an API node.

use opencpm_domain::Timestamp;

use super::{Breach, HANDSHAKE_LIMIT, Pinned};
use crate::message::{Challenge, Goodbye, ToAgent, ToServer};
use crate::node::{Certified, Certify};
use crate::sign::Signed;
use crate::statement::TrustStatement;

/// One visit: statement, challenge, request, answer.
#[derive(Debug)]
pub struct NodeConversation {
    pinned: Pinned,
    opened: Timestamp,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    AwaitingStatement,
    /// The chain is being judged.
    Judging,
    AwaitingChallenge,
    /// The request is being made and signed.
    Challenged,
    AwaitingAnswer,
    Closed,
}

/// What happened.
#[derive(Debug)]
pub enum NodeEvent<'a> {
    /// A frame came.
    Frame(&'a [u8]),
    /// The answer to [`NodeStep::Judge`]: the chain is good under this statement.
    Trusted,
    /// The answer to [`NodeStep::Answer`].
    Certify(Box<Certify>),
    /// The time of [`NodeConversation::due`] has come.
    Tick,
}

/// What to do next, in order.
#[derive(Debug)]
pub enum NodeStep {
    /// Send this frame.
    Send(Vec<u8>),
    /// The statement verified under the root key: judge the server's chain by it. Answer with
    /// `Trusted`, or close.
    Judge(Box<TrustStatement>),
    /// Answer the challenge with `Certify`.
    Answer(Challenge),
    /// The node has a certificate. The server closes.
    Certified(Box<Certified>),
    /// The server closes, and says why.
    Goodbye(Goodbye),
    /// Close the connection; the breach is for the log.
    Close(Breach),
}

impl NodeConversation {
    /// A new visit. Nothing goes out before the server was judged.
    pub const fn open(pinned: Pinned, now: Timestamp) -> Self {
        Self { pinned, opened: now, state: State::AwaitingStatement }
    }

    /// When to call with [`NodeEvent::Tick`] at the latest.
    pub fn due(&self) -> Timestamp {
        self.opened + HANDSHAKE_LIMIT
    }

    /// The next state, and what to do.
    pub fn handle(mut self, event: NodeEvent<'_>, now: Timestamp) -> (Self, Option<NodeStep>) {
        let (state, step) = match self.step(event, now) {
            Ok(next) => next,
            Err(breach) => (State::Closed, Some(NodeStep::Close(breach))),
        };
        self.state = state;
        (self, step)
    }

    fn step(
        &mut self,
        event: NodeEvent<'_>,
        now: Timestamp,
    ) -> Result<(State, Option<NodeStep>), Breach> {
        match (self.state, event) {
            (State::Closed, _) => Ok((State::Closed, None)),
            (_, NodeEvent::Tick) if now >= self.due() => Err(Breach::SlowHandshake),
            (_, NodeEvent::Frame(frame)) => match ToAgent::decode(frame)? {
                Some(message) => self.message(message).map(|(state, step)| (state, Some(step))),
                None => Ok((self.state, None)),
            },
            (State::Judging, NodeEvent::Trusted) => Ok((State::AwaitingChallenge, None)),
            (State::Challenged, NodeEvent::Certify(certify)) => {
                let frame = ToServer::Certify(*certify).encode();
                Ok((State::AwaitingAnswer, Some(NodeStep::Send(frame))))
            }
            (state, _) => Ok((state, None)),
        }
    }

    fn message(&mut self, message: ToAgent) -> Result<(State, NodeStep), Breach> {
        match (self.state, message) {
            (State::AwaitingStatement, ToAgent::Statement(signed)) => self.judge(&signed),
            (State::AwaitingStatement, _) => Err(Breach::OutOfTurn("its first words")),
            (_, ToAgent::Goodbye(goodbye)) => Ok((State::Closed, NodeStep::Goodbye(goodbye))),
            (State::AwaitingChallenge, ToAgent::Challenge(challenge)) => {
                Ok((State::Challenged, NodeStep::Answer(challenge)))
            }
            (State::AwaitingAnswer, ToAgent::Certified(certified)) => {
                Ok((State::Closed, NodeStep::Certified(Box::new(certified))))
            }
            _ => Err(Breach::OutOfTurn("something")),
        }
    }

    fn judge(&mut self, signed: &Signed<TrustStatement>) -> Result<(State, NodeStep), Breach> {
        let statement = self.pinned.check(signed)?;
        Ok((State::Judging, NodeStep::Judge(Box::new(statement))))
    }
}
