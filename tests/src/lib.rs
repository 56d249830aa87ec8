//! What the end-to-end tests share: labs and sites of real processes, a client that signs like any other,
//! and a look at real shadow files. The tests themselves live in `tests/`.

#![forbid(unsafe_code)]
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "in a test a failed expectation is a failed test"
)]

pub mod binaries;
mod client;
pub mod cluster;
mod database;
mod dice;
pub mod haproxy;
mod lab;
mod marker;
mod nodes;
mod port;
mod process;
mod scratch_root;
mod service;
mod shadow;
mod site;
pub mod wire;

pub use client::{Client, fresh_nonce, unix_time};
pub use database::{Database, Hold};
pub use dice::Dice;
pub use lab::{Device, Lab, OtherAccount, Ready};
pub use marker::Marker;
pub use nodes::{Nodes, NodesOptions};
pub use port::free_port;
pub use process::{Process, mortal};
pub use scratch_root::{Scheme, lay_out};
pub use service::{Service, key_in, without_settings};
pub use shadow::{Crypt, root_hash, verifies};
pub use site::{Machine, Site, try_to_enrol};

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Raises a flag when it goes, by a panic too: threads that work until then do not hold up the
/// failure of a test for ever.
pub struct Until<'a>(pub &'a AtomicBool);

impl Drop for Until<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Waits for something that another process does, looking again and again. Panics with `what`
/// when it has not come after the time.
pub fn eventually<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < limit, "{what}: not within {limit:?}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}
