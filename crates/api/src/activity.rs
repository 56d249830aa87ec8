//! Whether a connection is used: one that is not takes a place from others.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// The requests of one connection.
#[derive(Default)]
pub(crate) struct Activity {
    running: AtomicUsize,
    /// Counts beginnings and ends.
    changes: AtomicUsize,
}

/// A request that is under way.
pub(crate) struct Running(Arc<Activity>);

impl Activity {
    /// A request begins; it ends when what is returned is dropped.
    pub(crate) fn begin(self: &Arc<Self>) -> Running {
        self.running.fetch_add(1, Ordering::Relaxed);
        self.changes.fetch_add(1, Ordering::Relaxed);
        Running(Arc::clone(self))
    }

    /// Returns when nothing was under way for this long; it may take twice as long to notice.
    pub(crate) async fn idle_for(&self, time: Duration) {
        let mut before = self.changes.load(Ordering::Relaxed);
        loop {
            tokio::time::sleep(time).await;
            let now = self.changes.load(Ordering::Relaxed);
            if now == before && self.running.load(Ordering::Relaxed) == 0 {
                return;
            }
            before = now;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.changes.fetch_add(1, Ordering::Relaxed);
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}
