use std::fmt::Display;
use std::time::{Duration, Instant};

use lapin::message::Delivery;
use lapin::options::{BasicGetOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, ConnectionProperties};

use crate::RabbitMq;

/// What a stranger needs of it.
const ORDER: &str = "the broker takes it";

/// A message comes so soon, on a busy machine too.
const LIMIT: Duration = Duration::from_secs(60);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Somebody else at the broker: an operator who looks, or an attacker who writes.
pub struct Stranger {
    channel: Channel,
    _connection: Connection,
}

impl Stranger {
    /// Connects with all that the broker's one user may do.
    pub async fn at(broker: &RabbitMq) -> Self {
        let login = format!("{}:{}@", broker.user(), broker.password());
        let url = broker.url().replace(&format!("{}@", broker.user()), &login);
        let connection = Connection::connect(&url, ConnectionProperties::default()).await;
        let connection = connection.expect(ORDER);
        let channel = connection.create_channel().await.expect(ORDER);
        Self { channel, _connection: connection }
    }

    /// Publishes as if a node of this deployment did; the key is a gateway's id.
    pub async fn publish(&self, deployment: impl Display, key: &str, message: &[u8]) {
        let exchange = format!("opencpm.{deployment}.jobs");
        let (options, properties) = Default::default();
        let published =
            self.channel.basic_publish(exchange.into(), key.into(), options, message, properties);
        published.await.expect(ORDER).await.expect(ORDER);
    }

    /// Listens to what one gateway is told; returns the name of a queue.
    pub async fn listen(&self, deployment: impl Display, key: &str) -> String {
        let options = QueueDeclareOptions { exclusive: true, ..Default::default() };
        let declared = self.channel.queue_declare("".into(), options, FieldTable::default()).await;
        let queue = declared.expect(ORDER).name().clone();
        let exchange = format!("opencpm.{deployment}.jobs").into();
        let (options, none) = (QueueBindOptions::default(), FieldTable::default());
        let name = queue.to_string();
        self.channel.queue_bind(queue, exchange, key.into(), options, none).await.expect(ORDER);
        name
    }

    /// The next message of a queue, as soon as there is one. Panics when none comes.
    pub async fn get(&self, queue: &str) -> Delivery {
        let start = Instant::now();
        loop {
            if let Some(message) = self.next(queue).await {
                return message;
            }
            assert!(start.elapsed() < LIMIT, "a message in {queue}: not within {LIMIT:?}");
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The next message of a queue, if there is one now.
    pub async fn next(&self, queue: &str) -> Option<Delivery> {
        let options = BasicGetOptions { no_ack: true };
        let message = self.channel.basic_get(queue.into(), options).await.expect(ORDER);
        message.map(|message| message.delivery)
    }
}
