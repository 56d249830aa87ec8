//! A lab of real processes, driven through the public API.

#![expect(clippy::expect_used, reason = "in a test a failed expectation is a failed test")]

mod hostile_store;
mod main_job;
mod no_exec;
mod no_trace;
mod simulated;
