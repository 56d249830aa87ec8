//! The edge: decodes signed requests into operations and encodes their answers.
//!
//! Shared by both dialects: [`action`] (the table of actions and parameters, and what checks a
//! request against it), [`answer`] (the table of fields, and what writes them), [`service`] (what
//! the edge asks for), `judge` (the order in which a request is judged, contract 7.1), and the
//! listener. What the dialects differ in: `v2` and `v3` read a request, down to the same `Asked`;
//! `signature` (API 2.0, and v1 of API 3.0) and `tc3` check who signed it.
//!
//! Secrets: a request may hold a password, and a GET carries it in its URL. So no query, body or
//! parameter value is ever logged or put into a message; decoded values are wiped when dropped.

#![forbid(unsafe_code)]

pub mod action;
mod activity;
pub mod answer;
mod asked;
mod body;
mod carry_out;
mod common;
pub mod dialect;
pub mod document;
mod edge;
mod form;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod json;
mod judge;
mod listener;
mod moment;
mod received;
pub mod service;
mod settings;
mod signature;
mod tc3;
mod v2;
mod v3;
mod wire;
mod wording;

pub use edge::Edge;
pub use listener::Listener;
pub use settings::{Limits, Settings};
