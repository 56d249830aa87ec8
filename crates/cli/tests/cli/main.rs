//! What operators rely on: the configuration, the service, and the commands that ask it.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a failed expectation fails the test")]

mod commands;
mod configuration;
mod health;
mod scripted;
mod service;
mod support;
