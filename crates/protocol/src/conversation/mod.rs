//! The conversation between gateway and agent, as machines without sockets.
//!
//! An event and the time go in; the next state and things to do come out, in order. Gateway,
//! agent, simulated fleet and tests drive these machines; whoever drives one does the input and
//! output, in order, before the next event.
//!
//! ```text
//! gateway                                   agent
//!   Statement ─────────────────────────────►  checks it under the root key, judges the chain
//!   Challenge ─────────────────────────────►
//!   ◄───────────────────────────── Hello or Enrol, signed over the challenge
//!   Welcome or Enrolled ───────────────────►
//!   Job ───────────────────────────────────►
//!   ◄────────────────────────────────────── Report
//!   ReportsKept ───────────────────────────►
//!   Move, before it goes away ─────────────►  connects elsewhere, and closes this one
//! ```
//!
//! A node without the API role has the same beginning with an API node, then asks with Certify and
//! is answered with Certified.

mod agent;
mod node;
mod server;

pub use agent::{AgentConversation, AgentEvent, AgentStep, Pinned};
pub use node::{NodeConversation, NodeEvent, NodeStep};
pub use server::{Recognised, ServerConversation, ServerEvent, ServerStep};

use opencpm_domain::Span;

/// From the connection to the welcome; then an unfinished handshake is closed.
pub const HANDSHAKE_LIMIT: Span = Span::from_secs(10);

/// From one ping of the server to the next.
pub const PING_INTERVAL: Span = Span::from_secs(45);

/// A peer that was silent for so long is dead: two pings missed.
pub const SILENCE_LIMIT: Span = Span::from_secs(2 * 45 + 15);

/// Why a conversation cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Breach {
    /// Not a message.
    #[error(transparent)]
    Frame(#[from] crate::message::FrameError),
    /// A message that has no place at this point.
    #[error("the peer sent {0} out of turn")]
    OutOfTurn(&'static str),
    /// A signature does not verify, or what it covers is malformed.
    #[error("the signature of the {0} is wrong")]
    Signature(&'static str, #[source] crate::sign::SignatureError),
    /// Signed for another challenge: replayed.
    #[error("the peer answered another challenge")]
    Challenge,
    /// Signed for another installation, device or key.
    #[error("the peer speaks of another {0}")]
    Other(&'static str),
    /// Older than what is known.
    #[error("the trust statement is older than the one known")]
    OldStatement,
    /// Nothing came for too long.
    #[error("the peer was silent for too long")]
    Silence,
    /// The handshake took too long.
    #[error("the handshake took too long")]
    SlowHandshake,
}
