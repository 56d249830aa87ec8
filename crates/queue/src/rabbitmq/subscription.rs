use std::sync::Arc;

use async_trait::async_trait;
use futures_util::StreamExt;
use lapin::Consumer;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions, BasicRejectOptions};
use lapin::types::{FieldTable, ShortString};
use opencpm_domain::{GatewayId, JobId};
use opencpm_operations::port::Subscription;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::DropGuard;

use super::keep::Work;
use super::link::{Link, LinkError};
use super::message;
use super::topology::Topology;

/// Messages that the broker hands out ahead: with the largest ones 100,000 job ids, 1.6 MB.
const PREFETCH: u16 = 100;

/// The receiving end of one gateway. Survives a loss of the connection; what is published
/// meanwhile is left to the sweep.
pub(super) struct RabbitMqSubscription {
    /// Before the receiver: who feeds it then knows that nobody takes any more.
    _stop: DropGuard,
    batches: mpsc::Receiver<Vec<JobId>>,
}

impl RabbitMqSubscription {
    /// And the work that feeds it, which tells once when it listens for the first time.
    pub(super) fn new(
        topology: Topology,
        gateway: GatewayId,
        stop: DropGuard,
    ) -> (Self, Subscribing, oneshot::Receiver<()>) {
        let (taken, batches) = mpsc::channel(1);
        let (listening, listens) = oneshot::channel();
        let work =
            Subscribing { topology, gateway, consumer: None, taken, listening: Some(listening) };
        (Self { _stop: stop, batches }, work, listens)
    }
}

#[async_trait]
impl Subscription for RabbitMqSubscription {
    async fn next(&mut self) -> Option<Vec<JobId>> {
        self.batches.recv().await
    }
}

/// Takes messages from the gateway's queue.
pub(super) struct Subscribing {
    topology: Topology,
    gateway: GatewayId,
    consumer: Option<Consumer>,
    taken: mpsc::Sender<Vec<JobId>>,
    listening: Option<oneshot::Sender<()>>,
}

#[async_trait]
impl Work for Subscribing {
    const PURPOSE: &'static str = "gateway";

    async fn prepare(&mut self, link: &Link) -> Result<(), LinkError> {
        let channel = link.channel();
        self.topology.declare(channel).await?;
        let queue = self.topology.declare_for(channel, self.gateway).await?;
        channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
        let tag = ShortString::default();
        let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
        self.consumer = Some(channel.basic_consume(queue, tag, options, arguments).await?);
        if let Some(listening) = self.listening.take() {
            // Who asked may have stopped waiting.
            let _ = listening.send(());
        }
        Ok(())
    }

    /// What comes in while the gateway is busy becomes one batch. It is acknowledged when it is
    /// handed over and not when it is delivered to the machines: a gateway that dies does not come
    /// back to this queue, and whatever it took along the sweep of its successor finds.
    async fn serve(&mut self, link: &Arc<Link>) -> Result<(), LinkError> {
        let mut consumer = self.consumer.take().ok_or(LinkError::Down)?;
        let (mut batch, mut last) = (Vec::new(), 0);
        loop {
            tokio::select! {
                delivery = consumer.next() => {
                    let delivery = delivery.ok_or(LinkError::Down)??;
                    if let Some(jobs) = read(&delivery).await? {
                        batch.extend(jobs);
                        last = delivery.delivery_tag;
                    }
                }
                free = self.taken.reserve(), if !batch.is_empty() => {
                    free.map_err(|_| LinkError::Down)?.send(std::mem::take(&mut batch));
                    // All messages up to this one.
                    let options = BasicAckOptions { multiple: true };
                    link.channel().basic_ack(last, options).await?;
                }
            }
        }
    }
}

/// The jobs of a message. One that cannot be read goes to the dead letters.
async fn read(delivery: &Delivery) -> Result<Option<Vec<JobId>>, LinkError> {
    match message::decode(&delivery.data) {
        Ok(jobs) => Ok(Some(jobs)),
        Err(error) => {
            let bytes = delivery.data.len();
            tracing::warn!(error = &error as &dyn std::error::Error, bytes, "left unread");
            delivery.acker.reject(BasicRejectOptions { requeue: false }).await?;
            Ok(None)
        }
    }
}
