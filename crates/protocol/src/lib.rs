//! The control channel between gateway and agent: messages, sealing, signatures, the enrolment
//! token, and the conversation as a machine without sockets.
//!
//! No input or output, no async, no clock and no randomness of its own.

#![forbid(unsafe_code)]

pub mod conversation;
pub mod job;
pub mod key;
pub mod message;
pub mod report;
pub mod seal;
pub mod sign;
pub mod statement;
pub mod token;
pub mod wire;
