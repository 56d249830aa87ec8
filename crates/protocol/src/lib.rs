//! The control channel between gateway and agent: messages, sealing, signatures, the
//! tokens, and the conversation as a machine without sockets.
//!
//! No input or output, no async, no clock and no randomness of its own.

#![forbid(unsafe_code)]

pub mod conversation;
pub mod job;
pub mod key;
pub mod message;
pub mod node;
pub mod report;
pub mod seal;
pub mod sign;
pub mod statement;
#[cfg(feature = "tls")]
pub mod tls;
pub mod token;
pub mod wire;
