//! Agent: opens what was sealed for this machine and changes root's shadow entry.
//!
//! One thread, no program started, no module of the C library loaded. From the top down:

#![deny(unsafe_code)]

pub mod address;
pub mod agent; // the parts in one place
pub mod apply; // changing root's shadow entry
pub mod backoff;
pub mod cli; // the commands
pub mod clock;
pub mod connection; // WebSocket over TLS
pub mod converse; // the conversation's machine on a socket
pub mod enrol; // becoming a device
#[cfg(feature = "fault-points")]
pub mod fault;
mod job; // from a job's frame to its signed report
pub mod logs;
pub mod machine; // the machine's identity and facts
pub mod memory;
pub mod resolve; // names without the C library
pub mod run; // connected as long as it can be
pub mod session; // a device on one connection
pub mod state; // what must not be forgotten
pub mod tls; // the handshake, and the judgement of the chain
