//! Both sides of the conversation against each other, without sockets, and against peers that
//! keep no rule.

#![expect(clippy::unwrap_used, reason = "a failed expectation is a failed test")]
#![expect(unreachable_pub, reason = "shared by the modules of this program")]

mod frames;
mod generated;
mod parties;
mod rules;
