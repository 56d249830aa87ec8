//! The queue of several processes: a RabbitMQ broker.

#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod keep;
mod link;
mod message;
mod options;
mod publisher;
mod subscription;
mod topology;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use opencpm_domain::{DeploymentId, GatewayId};
use opencpm_operations::port::{Queue, QueueError, ReadyJobs, Subscription};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use keep::keep;
use link::LinkError;
use publisher::Publisher;
use subscription::RabbitMqSubscription;
use topology::Topology;

pub use options::{RabbitMqOptions, RabbitMqOptionsError};

/// For the first connection, before the caller goes on without one.
const FIRST_CONNECTION: Duration = Duration::from_secs(3);
/// For the first connection of a gateway, before it goes on without one.
const FIRST_MESSAGES: Duration = Duration::from_secs(1);
/// For the broker's confirmation of a publication. The sweep has found its jobs soon after.
const PUBLISH: Duration = Duration::from_secs(2);
/// For everything to end.
const CLOSE: Duration = Duration::from_secs(2);

/// Hands job ids to gateways in other processes through a broker.
pub struct RabbitMqQueue {
    options: RabbitMqOptions,
    topology: Topology,
    publisher: Arc<Publisher>,
    work: TaskTracker,
    stop: CancellationToken,
}

impl RabbitMqQueue {
    /// Connects, and keeps connected behind until it is closed. Returns after 3 s also when the
    /// broker did not answer: who needs it is refused meanwhile, who does not goes on. The
    /// deployment's id keeps the names of several deployments at one broker apart.
    pub async fn connect(options: RabbitMqOptions, deployment: DeploymentId) -> Self {
        let topology = Topology::new(deployment);
        let (publisher, publishing) = Publisher::new(topology.clone());
        let (work, stop) = (TaskTracker::new(), CancellationToken::new());
        work.spawn(keep(options.clone(), publishing, stop.clone()));
        // Longer than that is told by the work itself.
        drop(timeout(FIRST_CONNECTION, publisher.connected()).await);
        Self { options, topology, publisher: Arc::new(publisher), work, stop }
    }

    /// Takes leave of the broker, for at most 2 s. Subscriptions end.
    pub async fn close(&self) {
        self.stop.cancel();
        self.work.close();
        if timeout(CLOSE, self.work.wait()).await.is_err() {
            tracing::warn!(broker = %self.options, "the connections to the broker do not end");
        }
    }
}

#[async_trait]
impl Queue for RabbitMqQueue {
    /// Answers within 1.5 s.
    async fn check(&self) -> Result<(), QueueError> {
        self.publisher.check().await.map_err(unreachable)
    }

    /// Returns when the broker has confirmed, at the latest after 2 s. What is confirmed later is
    /// delivered all the same, so a queue that has just lost its leader does not hold up clients.
    async fn publish(&self, ready: Vec<ReadyJobs>) -> Result<(), QueueError> {
        // A task of its own: neither the limit nor a client that hangs up holds jobs back.
        let publisher = Arc::clone(&self.publisher);
        let publishing = self.work.spawn(async move { publisher.publish(ready).await });
        match timeout(PUBLISH, publishing).await {
            Ok(Ok(published)) => published.map_err(unreachable),
            Ok(Err(stopped)) => Err(QueueError::Unreachable(stopped.into())),
            Err(_) => Err(unreachable(LinkError::Silent)),
        }
    }

    /// Returns after 1 s also when the broker did not answer: the subscription is fed as soon as
    /// it does.
    async fn subscribe(&self, gateway: GatewayId) -> Result<Box<dyn Subscription>, QueueError> {
        let stop = self.stop.child_token();
        let guard = stop.clone().drop_guard();
        let topology = self.topology.clone();
        let (subscription, subscribing, listens) =
            RabbitMqSubscription::new(topology, gateway, guard);
        self.work.spawn(keep(self.options.clone(), subscribing, stop));
        drop(timeout(FIRST_MESSAGES, listens).await);
        Ok(Box::new(subscription))
    }
}

impl Drop for RabbitMqQueue {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn unreachable(error: LinkError) -> QueueError {
    QueueError::Unreachable(Box::new(error))
}
