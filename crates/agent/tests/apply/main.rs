//! Resets on scratch roots: what a machine's owner relies on.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a failed expectation is a failed test"
)]

mod crash;
mod crypt;
mod kept;
mod locks;
mod refused;
mod scratch;
