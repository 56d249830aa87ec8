use async_trait::async_trait;
use opencpm_domain::{GatewayId, JobId};

/// Tells gateways which jobs are ready. Carries ids only, never a sealed byte.
///
/// Delivery is at least once and in any order, and a message may be lost: the sweep finds its
/// jobs in the store again. So an implementation bounds its memory by dropping.
///
/// To add an implementation: a folder of its own in `opencpm-queue` with the same file names as
/// its sibling, and one line in the contract test suite there.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Fails when a publication could not be taken now. Asked before anything is written.
    async fn check(&self) -> Result<(), QueueError>;

    /// Tells each gateway about its jobs.
    async fn publish(&self, ready: Vec<ReadyJobs>) -> Result<(), QueueError>;

    /// What is published for one gateway from now on.
    async fn subscribe(&self, gateway: GatewayId) -> Result<Box<dyn Subscription>, QueueError>;
}

/// The receiving end of one gateway.
#[async_trait]
pub trait Subscription: Send {
    /// The next jobs; `None` when the queue is closed. Cancel safe: a call that is given up loses
    /// no jobs.
    async fn next(&mut self) -> Option<Vec<JobId>>;
}

/// Jobs that one gateway can deliver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadyJobs {
    /// Where their devices are connected.
    pub gateway: GatewayId,
    /// The jobs.
    pub jobs: Vec<JobId>,
}

/// The queue cannot be used now.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The broker is configured and not reachable.
    #[error("the broker is not reachable")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
}
