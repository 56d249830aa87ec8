//! What exists at the broker, and its names. Declaring again changes nothing; the arguments of
//! what exists cannot be changed, so other arguments need another name.

use std::time::Duration;

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, ExchangeKind};
use opencpm_domain::{DeploymentId, GatewayId};

/// Messages that wait for one gateway at most; the oldest go first.
const WAITING: i64 = 10_000;
/// Bytes that wait for one gateway at most: a million ids.
const WAITING_BYTES: i64 = 16 << 20;
/// How long a message waits. The sweep has found its jobs long before.
pub(super) const FRESH: Duration = Duration::from_secs(60);
/// Dead letters at most, of all gateways together.
const DEAD: i64 = 10_000;
/// Bytes of dead letters at most.
const DEAD_BYTES: i64 = 16 << 20;
/// How long a dead letter can be looked at.
const REMEMBERED: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The names of one deployment. Several deployments share a broker without meeting each other.
#[derive(Clone, Debug)]
pub(super) struct Topology {
    prefix: String,
}

impl Topology {
    pub(super) fn new(deployment: DeploymentId) -> Self {
        Self { prefix: format!("opencpm.{deployment}") }
    }

    /// Where jobs are published; the routing key is the gateway's id.
    pub(super) fn jobs(&self) -> ShortString {
        format!("{}.jobs", self.prefix).into()
    }

    /// The routing key of one gateway.
    pub(super) fn key(gateway: GatewayId) -> ShortString {
        gateway.to_string().into()
    }

    /// Where messages end that nobody took: the exchange, and the queue behind it.
    fn dead(&self) -> ShortString {
        format!("{}.dead", self.prefix).into()
    }

    /// What all nodes use. Dead letters lie in a quorum queue: it is there, and can be declared
    /// again, when one node of the broker is not.
    pub(super) async fn declare(&self, channel: &Channel) -> lapin::Result<()> {
        exchange(channel, self.jobs(), ExchangeKind::Direct).await?;
        exchange(channel, self.dead(), ExchangeKind::Fanout).await?;
        let options = QueueDeclareOptions { durable: true, ..Default::default() };
        let arguments = table([
            ("x-queue-type", text("quorum")),
            ("x-max-length", DEAD.into()),
            ("x-max-length-bytes", DEAD_BYTES.into()),
            ("x-message-ttl", millis(REMEMBERED)),
        ]);
        channel.queue_declare(self.dead(), options, arguments).await?;
        bind(channel, self.dead(), self.dead(), ShortString::default()).await
    }

    /// Where the messages of one gateway wait: a queue of this connection, which goes with it, so
    /// that no gateway leaves one behind. Returns its name, another one each time: the broker may
    /// not know yet that the connection before this one is gone.
    pub(super) async fn declare_for(
        &self,
        channel: &Channel,
        gateway: GatewayId,
    ) -> lapin::Result<ShortString> {
        let random = getrandom::u64().map_err(std::io::Error::from)?;
        let name: ShortString = format!("{}.gateway.{gateway}.{random:016x}", self.prefix).into();
        let options = QueueDeclareOptions { exclusive: true, ..Default::default() };
        let arguments = table([
            ("x-max-length", WAITING.into()),
            ("x-max-length-bytes", WAITING_BYTES.into()),
            ("x-message-ttl", millis(FRESH)),
            ("x-dead-letter-exchange", text(self.dead().as_str())),
        ]);
        channel.queue_declare(name.clone(), options, arguments).await?;
        bind(channel, name.clone(), self.jobs(), Self::key(gateway)).await?;
        Ok(name)
    }
}

async fn exchange(channel: &Channel, name: ShortString, kind: ExchangeKind) -> lapin::Result<()> {
    let options = ExchangeDeclareOptions { durable: true, ..Default::default() };
    channel.exchange_declare(name, kind, options, FieldTable::default()).await
}

async fn bind(
    channel: &Channel,
    queue: ShortString,
    exchange: ShortString,
    key: ShortString,
) -> lapin::Result<()> {
    let options = QueueBindOptions::default();
    channel.queue_bind(queue, exchange, key, options, FieldTable::default()).await
}

fn table<const N: usize>(arguments: [(&str, AMQPValue); N]) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in arguments {
        table.insert(name.into(), value);
    }
    table
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

fn millis(duration: Duration) -> AMQPValue {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX).into()
}
