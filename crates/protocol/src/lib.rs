//! Control channel: messages, sealing, trust statements, and the conversation without sockets.

#![forbid(unsafe_code)]

pub mod key;
pub mod seal;
pub mod sign;
pub mod token;
