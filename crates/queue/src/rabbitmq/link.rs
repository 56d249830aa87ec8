//! One connection to the broker, with the one channel that we use on it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_rs::util::RuntimeParts;
use async_rs::{Runtime, Tokio};
use lapin::auth::AuthProvider;
use lapin::tcp::AsyncTcpStream;
use lapin::types::{LongString, ShortString};
use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPUri, AMQPUserInfo};
use lapin::{Channel, Connection, ConnectionProperties};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::options::RabbitMqOptions;
use super::wire::{self, Wires};

/// From the first packet to an open channel.
const OPEN: Duration = Duration::from_secs(3);
/// For the farewell.
const CLOSE: Duration = Duration::from_secs(1);
/// A side that hears nothing for twice this long gives the connection up. Seconds; shorter ones
/// are known to be wrong now and then.
const HEARTBEAT: u16 = 5;
/// Bytes of a frame at most; the library reserves 64 times this for each connection.
const FRAME: u32 = 32 << 10;

/// What is wrong with a broker.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    /// No connection, for example because nobody listens or the certificate is not trusted.
    #[error("no connection")]
    Connection(#[from] std::io::Error),
    /// The broker refused, or broke the protocol.
    #[error("the broker refuses")]
    Protocol(#[from] lapin::Error),
    /// No answer in time.
    #[error("no answer from the broker")]
    Silent,
    /// There is no connection at this moment; another one is tried behind.
    #[error("not connected to the broker")]
    Down,
    /// The broker takes no messages while its memory or its disk is short.
    #[error("the broker takes no messages: its memory or disk is short")]
    Blocked,
    /// The broker did not take a message.
    #[error("the broker did not take the message")]
    NotTaken,
}

/// A connection that is up until it is over.
pub(super) struct Link {
    connection: Connection,
    channel: Channel,
    over: CancellationToken,
}

impl Link {
    /// Connects and opens the channel.
    pub(super) async fn open(options: &RabbitMqOptions, purpose: &str) -> Result<Self, LinkError> {
        let over = CancellationToken::new();
        // Whatever is half open at the limit falls with this.
        let cut = over.clone().drop_guard();
        let opening = async {
            let wire = wire::connect(options, over.clone()).await?;
            let connection = introduce(options, purpose, wire).await?;
            let channel = connection.create_channel().await?;
            Ok(Self { connection, channel, over })
        };
        let link = timeout(OPEN, opening).await.map_err(|_| LinkError::Silent)?;
        if link.is_ok() {
            cut.disarm();
        }
        link
    }

    /// The channel.
    pub(super) fn channel(&self) -> &Channel {
        &self.channel
    }

    /// Fails when this is not a link that a message can be sent on now.
    pub(super) fn usable(&self) -> Result<(), LinkError> {
        if self.over.is_cancelled() || !self.channel.status().connected() {
            Err(LinkError::Down)
        } else if self.connection.status().blocked() {
            Err(LinkError::Blocked)
        } else {
            Ok(())
        }
    }

    /// Ends it at once.
    pub(super) fn cut(&self) {
        self.over.cancel();
    }

    /// Waits for its end.
    pub(super) async fn over(&self) {
        self.over.cancelled().await;
    }

    /// Ends it with a farewell, if there is somebody who listens.
    pub(super) async fn close(&self) {
        let farewell = self.connection.close(200, "OK".into());
        if !matches!(timeout(CLOSE, farewell).await, Ok(Ok(()))) {
            tracing::debug!("no farewell from the broker");
        }
        self.cut();
    }
}

/// The library's thread ends with the stream; a link that is dropped without more must not leave
/// it behind.
impl Drop for Link {
    fn drop(&mut self) {
        self.cut();
    }
}

/// Says who we are on a stream that is connected.
async fn introduce(
    options: &RabbitMqOptions,
    purpose: &str,
    wire: wire::Wire,
) -> lapin::Result<Connection> {
    let uri = AMQPUri {
        authority: AMQPAuthority {
            userinfo: AMQPUserInfo { username: options.user.clone(), password: String::new() },
            host: options.host.clone(),
            port: options.port,
        },
        vhost: options.vhost.clone(),
        query: AMQPQueryString {
            heartbeat: Some(HEARTBEAT),
            frame_max: Some(FRAME),
            ..AMQPQueryString::default()
        },
        ..AMQPUri::default()
    };
    let properties = ConnectionProperties::default()
        .with_connection_name(format!("opencpm {purpose}").into())
        .with_auth_provider(Login {
            user: options.user.clone(),
            password: options.password.clone(),
        });
    let runtime = Runtime::new(RuntimeParts::new(Tokio::current(), Wires(Tokio::current())));
    // The library asks once: it does not connect again by itself.
    let wire = Mutex::new(Some(wire));
    let connect = async move |_, _| {
        let wire = wire.lock().unwrap_or_else(PoisonError::into_inner).take();
        let gone = || std::io::Error::from(std::io::ErrorKind::ConnectionAborted);
        Ok(AsyncTcpStream::Plain(wire.ok_or_else(gone)?))
    };
    Connection::connector(uri, runtime, connect, properties).await
}

/// Name and password (RFC 4616). The password is not part of the address, which is passed around
/// and printed more freely.
struct Login {
    user: String,
    password: SecretString,
}

impl AuthProvider for Login {
    fn mechanism(&self) -> ShortString {
        "PLAIN".into()
    }

    fn auth_starter(&self) -> Result<LongString, String> {
        Ok(format!("\0{}\0{}", self.user, self.password.expose_secret()).into())
    }
}
