//! The queue of a single process.

mod subscription;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use opencpm_domain::GatewayId;
use opencpm_operations::port::{Queue, QueueError, ReadyJobs, Subscription};

use subscription::{EmbeddedSubscription, Mailbox};

/// Job ids that wait for one gateway at most, before further ones are dropped: 1.6 MB.
const CAPACITY: usize = 100_000;

/// Hands job ids from the API to the gateways of the same process. Never waits for a gateway.
pub struct EmbeddedQueue {
    capacity: usize,
    mailboxes: Mutex<HashMap<GatewayId, Arc<Mailbox>>>,
}

impl EmbeddedQueue {
    /// A queue that holds 100,000 job ids for each gateway.
    pub fn new() -> Self {
        Self::with_capacity(CAPACITY)
    }

    /// A queue that holds so many job ids for each gateway.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { capacity, mailboxes: Mutex::default() }
    }

    fn mailboxes(&self) -> std::sync::MutexGuard<'_, HashMap<GatewayId, Arc<Mailbox>>> {
        self.mailboxes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for EmbeddedQueue {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Queue for EmbeddedQueue {
    async fn check(&self) -> Result<(), QueueError> {
        Ok(())
    }

    async fn publish(&self, ready: Vec<ReadyJobs>) -> Result<(), QueueError> {
        let mut mailboxes = self.mailboxes();
        mailboxes.retain(|_, mailbox| !mailbox.is_closed());
        for ReadyJobs { gateway, jobs } in ready {
            let published = jobs.len();
            let dropped = match mailboxes.get(&gateway) {
                Some(mailbox) => mailbox.put(jobs, self.capacity),
                None => published,
            };
            if dropped > 0 {
                tracing::warn!(%gateway, published, dropped, "jobs are left to the sweep");
            }
        }
        Ok(())
    }

    async fn subscribe(&self, gateway: GatewayId) -> Result<Box<dyn Subscription>, QueueError> {
        let mailbox = Arc::new(Mailbox::default());
        let former = self.mailboxes().insert(gateway, Arc::clone(&mailbox));
        if let Some(former) = former {
            former.close();
        }
        Ok(Box::new(EmbeddedSubscription::new(mailbox)))
    }
}

impl Drop for EmbeddedQueue {
    fn drop(&mut self) {
        self.mailboxes().values().for_each(|mailbox| mailbox.close());
    }
}
