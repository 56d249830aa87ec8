//! The edge as a client meets it: raw bytes through a real socket, a made-up service behind it.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed expectation is a failed test, in its helpers too"
)]

mod answers;
mod ask;
mod ask3;
mod devices;
mod errors;
mod fake;
mod keys;
mod limits;
mod malformed;
mod order;
mod pairs;
mod secrecy;
mod transport;
mod v3;
mod vectors;
mod world;
