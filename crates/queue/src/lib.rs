//! The [`Queue`](opencpm_operations::port::Queue) port: tells gateways which jobs are ready.
//!
//! | implementation | for |
//! | --- | --- |
//! | [`EmbeddedQueue`] | API and gateways in one process |
//!
//! Siblings have the same file names, and one contract test suite (`tests/contract.rs`).

#![forbid(unsafe_code)]

mod embedded;

pub use embedded::EmbeddedQueue;
