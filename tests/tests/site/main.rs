//! A server and agents that are killed: nothing accepted is lost, every task ends, and what is
//! said of each machine is what its disk says.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "in a test a failed expectation is a failed test"
)]

mod another_hand;
mod chosen_points;
mod deadlines;
mod erasure;
mod first_start;
mod health;
mod random_kills;
mod retention;
mod truth;
