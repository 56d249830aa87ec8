//! Agent: opens what was sealed for this machine and changes root's shadow entry.
//!
//! One thread, no program started, no module of the C library loaded. From the top down:
//!
//! | file | what it is |
//! | --- | --- |
//! | `cli` | the commands |
//! | `run` | connected as long as it can be; `backoff` says how long to wait |
//! | `session` | a device on one connection |
//! | `enrol` | becoming a device |
//! | `job` | from a job's frame to its signed report |
//! | `agent` | the parts in one place |
//! | `apply` | changing root's shadow entry |
//! | `advice` | what would still keep root out, or undo the change |
//! | `regular` | opening files that may be something else |
//! | `pam` | the lines of PAM's files, for both |
//! | `converse` | the conversation's machine on a socket |
//! | `connection` | WebSocket over TLS; `address` and `resolve` lead to it |
//! | `state` | what must not be forgotten |
//! | `machine`, `clock` | the machine's identity and facts, and its time |

#![deny(unsafe_code)]

pub mod address;
pub mod advice;
pub mod agent;
pub mod apply;
pub mod backoff;
pub mod cli;
pub mod clock;
pub mod connection;
pub mod converse;
pub mod enrol;
#[cfg(feature = "fault-points")]
pub mod fault;
mod job;
pub mod logs;
pub mod machine;
pub mod memory;
mod moves;
mod pam;
mod regular;
pub mod resolve;
pub mod run;
pub mod session;
pub mod state;
