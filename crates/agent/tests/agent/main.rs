//! The agent against a gateway of the test's own: real sockets, real TLS, real files.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a failed expectation is a failed test")]

mod binary;
mod crashes;
mod deployment;
mod enrolment;
mod gateway;
mod jobs;
mod machine;
mod moves;
mod trust;
