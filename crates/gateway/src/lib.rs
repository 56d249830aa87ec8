//! The agents' connections on real sockets.
//!
//! | file | what |
//! | --- | --- |
//! | `gateway` | starts it all; one term after the other |
//! | `term` | from taking a lease under a new id until it ends |
//! | `drain` | how a term ends, in good order or not |
//! | `lease` | takes and renews it |
//! | `listener` | TLS, upgrade, bounds for whoever has proved nothing |
//! | `session` | one connection: drives the protocol's conversation over a stream and sink |
//! | `line`, `registry` | the way to a session; which device is connected where |
//! | `clerk` | set-based calls to the store, for all sessions together |
//! | `operations`, `roles` | the use cases it calls, and how they are called |
//! | `pipe` | a connection without a socket |

#![forbid(unsafe_code)]

mod clerk;
mod config;
mod drain;
mod gateway;
mod lease;
mod line;
mod listener;
mod operations;
mod pipe;
mod registry;
mod roles;
mod session;
mod term;

pub use config::Config;
pub use gateway::{Connector, Gateway};
pub use listener::{PATH, upgrade};
pub use operations::Operations;
pub use pipe::Pipe;
pub use roles::Roles;
pub use session::Transport;
