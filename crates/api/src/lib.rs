//! The edge: decodes signed requests into operations and encodes their answers.
//!
//! Shared by both dialects: [`action`] (the table of actions and parameters, and what checks a
//! request against it), [`service`] (what the edge asks for), the form and signature rules, and
//! the listener. A dialect is a module of its own: `v2` reads and answers API 2.0, and its
//! `answer` function is the order in which a request is judged (contract 7.1).
//!
//! Secrets: a request may hold a password, and a GET carries it in its URL. So no query, body or
//! parameter value is ever logged or put into a message; decoded values are wiped when dropped.

#![forbid(unsafe_code)]

pub mod action;
mod activity;
mod body;
mod edge;
mod form;
mod json;
mod listener;
mod moment;
pub mod service;
mod settings;
mod signature;
mod v2;
mod wire;
mod wording;

pub use edge::Edge;
pub use listener::Listener;
pub use settings::{Limits, Settings};
