//! The files in `deploy/` do what they say, with the real programs that they are for.

#![expect(clippy::expect_used, reason = "in a test a failed expectation is a failed test")]

mod load_balancer;
mod node;
mod units;
