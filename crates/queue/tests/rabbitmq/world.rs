use std::sync::Arc;

use lapin::options::{BasicGetOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, ConnectionProperties};
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

/// Somebody else at the broker: an operator who looks, or an attacker who writes.
pub(crate) struct Stranger {
    pub(crate) channel: Channel,
    _connection: Connection,
}

impl Stranger {
    pub(crate) async fn at(broker: &RabbitMq) -> Self {
        let login = format!("{}:{}@", broker.user(), broker.password());
        let url = broker.url().replace(&format!("{}@", broker.user()), &login);
        let connection = Connection::connect(&url, ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        Self { channel, _connection: connection }
    }

    /// Publishes as if a node did.
    pub(crate) async fn publish(&self, deployment: DeploymentId, key: &str, message: &[u8]) {
        let exchange = format!("opencpm.{deployment}.jobs");
        let (options, properties) = Default::default();
        let published =
            self.channel.basic_publish(exchange.into(), key.into(), options, message, properties);
        published.await.unwrap().await.unwrap();
    }

    /// Listens to what one gateway is told; returns the name of a queue.
    pub(crate) async fn listen(&self, deployment: DeploymentId, key: &str) -> String {
        let options = QueueDeclareOptions { exclusive: true, ..Default::default() };
        let declared = self.channel.queue_declare("".into(), options, FieldTable::default()).await;
        let queue = declared.unwrap().name().clone();
        let exchange = format!("opencpm.{deployment}.jobs").into();
        let (options, none) = (QueueBindOptions::default(), FieldTable::default());
        let name = queue.to_string();
        self.channel.queue_bind(queue, exchange, key.into(), options, none).await.unwrap();
        name
    }

    /// The next message of a queue, as soon as there is one.
    pub(crate) async fn get(&self, queue: &str) -> lapin::message::Delivery {
        loop {
            let options = BasicGetOptions { no_ack: true };
            if let Some(message) = self.channel.basic_get(queue.into(), options).await.unwrap() {
                return message.delivery;
            }
        }
    }
}
