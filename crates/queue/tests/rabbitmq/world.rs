use std::sync::Arc;

use opencpm_domain::DeploymentId;
use opencpm_queue::{RabbitMqOptions, RabbitMqQueue};
use opencpm_servers::RabbitMq;

use crate::contract::{SOME, World};

/// Messages that the broker hands out ahead.
const PREFETCH: usize = 100;

pub(crate) async fn world() -> World {
    let queue = Arc::new(queue(shared()).await.0);
    World { queue, held: PREFETCH * usize::from(SOME) }
}

/// The broker that nobody harms.
pub(crate) fn shared() -> &'static RabbitMq {
    RabbitMq::shared()
}

/// The way to a broker.
pub(crate) fn options(broker: &RabbitMq) -> RabbitMqOptions {
    RabbitMqOptions::new(&broker.url(), broker.password().into(), None).unwrap()
}

/// A deployment that nobody else has.
pub(crate) fn deployment() -> DeploymentId {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).unwrap();
    DeploymentId::from_bytes(bytes)
}

/// A queue of a deployment of its own.
pub(crate) async fn queue(broker: &RabbitMq) -> (RabbitMqQueue, DeploymentId) {
    let deployment = deployment();
    (RabbitMqQueue::connect(options(broker), deployment).await, deployment)
}
