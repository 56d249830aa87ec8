use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use opencpm_domain::JobId;
use opencpm_operations::port::Subscription;
use tokio::sync::Notify;

/// What waits for one gateway.
#[derive(Default)]
pub(super) struct Mailbox {
    content: Mutex<Content>,
    changed: Notify,
}

#[derive(Default)]
struct Content {
    jobs: Vec<JobId>,
    closed: bool,
}

impl Mailbox {
    /// Puts jobs in up to the capacity; returns how many were dropped.
    pub(super) fn put(&self, jobs: Vec<JobId>, capacity: usize) -> usize {
        let mut content = self.content();
        let room = capacity.saturating_sub(content.jobs.len()).min(jobs.len());
        let dropped = jobs.len() - room;
        content.jobs.extend(jobs.into_iter().take(room));
        drop(content);
        self.changed.notify_one();
        dropped
    }

    /// Nothing more comes in; what is there can still be taken.
    pub(super) fn close(&self) {
        self.content().closed = true;
        self.changed.notify_one();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.content().closed
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything that waits; `None` when nothing ever will again.
    fn take(&self) -> Option<Vec<JobId>> {
        let mut content = self.content();
        let jobs = std::mem::take(&mut content.jobs);
        if jobs.is_empty() && content.closed { None } else { Some(jobs) }
    }
}

/// Takes everything at once: what came in while the gateway was busy is one batch.
pub(super) struct EmbeddedSubscription(Arc<Mailbox>);

impl EmbeddedSubscription {
    pub(super) fn new(mailbox: Arc<Mailbox>) -> Self {
        Self(mailbox)
    }
}

#[async_trait]
impl Subscription for EmbeddedSubscription {
    async fn next(&mut self) -> Option<Vec<JobId>> {
        loop {
            let jobs = self.0.take()?;
            if !jobs.is_empty() {
                return Some(jobs);
            }
            self.0.changed.notified().await;
        }
    }
}

impl Drop for EmbeddedSubscription {
    fn drop(&mut self) {
        self.0.close();
    }
}
