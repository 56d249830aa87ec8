//! What callers, machines and operators can rely on, over the real store and queue.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a failed expectation is a failed test")]

mod administration;
mod enrolments;
mod forgeries;
mod machine;
mod nodes;
mod order;
mod reports;
mod resets;
mod scopes;
mod temporary_keys;
mod time;
mod world;
