//! Target of `cargo xtask fuzz`, here because what it asks is private to this crate.
//! `fuzz/README.md` lists all of them.

use super::message::{LARGEST, decode, encode};

/// A message from the broker, which anybody with access to it may have written: what is read is
/// written the same again, and is bounded.
pub fn queue_message(bytes: &[u8]) {
    if let Ok(jobs) = decode(bytes) {
        assert!((1..=LARGEST).contains(&jobs.len()));
        assert_eq!(encode(&jobs), bytes);
    }
}
