//! What OpenCPM does on a machine: seen from a real login, and on a machine with nothing else.
//!
//! These tests make namespaces and change their root directory, so they need root.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "in a test a failed expectation is a failed test"
)]

mod empty_machine;
mod name_server;
mod sshd;
mod sshd_login;
mod static_agent;
