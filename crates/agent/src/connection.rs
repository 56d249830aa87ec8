//! One WebSocket over TLS to a gateway: frames in and out, each wait with an end.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;

use opencpm_domain::Span;
use opencpm_protocol::message::{MAX_FRAME, WEBSOCKET_PATH};
use opencpm_protocol::tls::{self, TlsError};
use rand_core::CryptoRng;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConnection, StreamOwned};
use tungstenite::client::{ClientRequestBuilder, client_with_config};
use tungstenite::http::Uri;
use tungstenite::http::uri::InvalidUri;
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{HandshakeError, Message, WebSocket};

use crate::address::Address;
use crate::clock::{Clock, duration};
use crate::resolve::{ResolveError, Resolver};

/// From the name to the upgraded WebSocket; a step that takes longer ends the attempt.
const CONNECT_LIMIT: Span = Span::from_secs(10);

/// A peer that takes nothing for so long is gone.
const WRITE_LIMIT: Span = Span::from_secs(30);

/// The frames are small and rare.
const BUFFER: usize = 4 * 1024;

/// Why there is no connection, or none any more.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// The host has no address.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// No address took the connection; the last one's error.
    #[error("cannot connect")]
    Connect(#[source] io::Error),
    /// TLS could not begin.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The TLS handshake failed.
    #[error("the TLS handshake failed")]
    Handshake(#[source] io::Error),
    /// The address makes no URL.
    #[error("the address makes no URL")]
    Url(#[source] InvalidUri),
    /// The peer is no WebSocket server, or not ours.
    #[error("the WebSocket handshake failed")]
    Upgrade(#[source] Box<tungstenite::Error>),
    /// The peer is too slow.
    #[error("the WebSocket handshake took too long")]
    SlowUpgrade,
    /// The connection broke.
    #[error("the connection broke")]
    Broken(#[source] Box<tungstenite::Error>),
    /// The peer sent what none of ours sends.
    #[error("the server sent a {0}, which has no place here")]
    Unexpected(&'static str),
}

/// What came.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A frame of the protocol.
    Frame(Vec<u8>),
    /// A ping; it is answered already.
    Ping,
    /// Nothing, until the given time.
    Nothing,
    /// The peer closed.
    Closed,
}

/// A connection to one gateway.
pub struct Connection<'c> {
    socket: WebSocket<StreamOwned<ClientConnection, TimedSocket<'c>>>,
    chain: Vec<CertificateDer<'static>>,
    host: String,
    local: Option<IpAddr>,
    clock: &'c dyn Clock,
}

impl<'c> Connection<'c> {
    /// Resolves, connects, shakes hands and upgrades. Whether the server is to be trusted is open
    /// still: see [`Self::judge`].
    pub fn open(
        address: &Address,
        resolver: &Resolver,
        clock: &'c dyn Clock,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, ConnectionError> {
        let addresses = resolver.addresses(&address.host, clock, rng)?;
        let tcp = connect(&addresses, address.port).map_err(ConnectionError::Connect)?;
        let local = tcp.local_addr().ok().map(|local| local.ip());
        let deadline = after(clock, CONNECT_LIMIT);
        let mut timed = TimedSocket { tcp, clock, deadline };
        let mut tls = connection(&address.host)?;
        while tls.is_handshaking() {
            tls.complete_io(&mut timed).map_err(ConnectionError::Handshake)?;
        }
        let chain = tls.peer_certificates().unwrap_or_default();
        let chain = chain.iter().map(|one| one.clone().into_owned()).collect();
        let socket = upgrade(StreamOwned::new(tls, timed), address)?;
        Ok(Self { socket, chain, host: address.host.clone(), local, clock })
    }

    /// Whether the chain that the server showed is good under the statement.
    pub fn judge(
        &self,
        statement: &opencpm_protocol::statement::TrustStatement,
        time: opencpm_domain::Timestamp,
    ) -> Result<(), TlsError> {
        tls::judge(&self.chain, &self.host, statement, time)
    }

    /// The machine's own address on the way to the gateway.
    pub fn local(&self) -> Option<IpAddr> {
        self.local
    }

    /// Sends a frame.
    pub fn send(&mut self, frame: Vec<u8>) -> Result<(), ConnectionError> {
        self.socket.send(Message::binary(frame)).map_err(broken)
    }

    /// Waits for something to come, at most until `deadline` (time since boot). A ping is answered
    /// only where `answer_pings`: an untrusted server hears nothing.
    pub fn receive(
        &mut self,
        deadline: Span,
        answer_pings: bool,
    ) -> Result<Incoming, ConnectionError> {
        self.socket.get_mut().sock.deadline = deadline;
        match self.socket.read() {
            Ok(Message::Binary(frame)) => Ok(Incoming::Frame(frame.into())),
            Ok(Message::Ping(_)) if answer_pings => {
                self.socket.flush().map_err(broken)?;
                Ok(Incoming::Ping)
            }
            Ok(Message::Close(_)) => Ok(Incoming::Closed),
            Ok(Message::Pong(_)) => Ok(Incoming::Ping),
            Ok(Message::Ping(_)) => Err(ConnectionError::Unexpected("ping")),
            Ok(Message::Text(_) | Message::Frame(_)) => Err(ConnectionError::Unexpected("text")),
            Err(error) if is_timeout(&error) => Ok(Incoming::Nothing),
            Err(tungstenite::Error::ConnectionClosed | tungstenite::Error::AlreadyClosed) => {
                Ok(Incoming::Closed)
            }
            Err(error) => Err(broken(error)),
        }
    }

    /// Says that it ends here; whether the peer hears it does not matter.
    pub fn close(mut self) {
        let until = after(self.clock, Span::from_secs(1));
        self.socket.get_mut().sock.deadline = until;
        if let Err(error) = self.socket.close(None).and_then(|()| self.socket.flush()) {
            tracing::debug!(%error, "the connection was closed without a farewell");
        }
    }
}

fn connection(host: &str) -> Result<ClientConnection, TlsError> {
    let config = Arc::new(tls::client_config()?);
    ClientConnection::new(config, tls::server_name(host)?).map_err(TlsError::Setup)
}

/// The first address that takes a connection.
fn connect(addresses: &[IpAddr], port: u16) -> io::Result<TcpStream> {
    let mut last = io::Error::from(ErrorKind::NotFound);
    for address in addresses {
        let to = SocketAddr::new(*address, port);
        match TcpStream::connect_timeout(&to, duration(CONNECT_LIMIT)) {
            Ok(tcp) => {
                tcp.set_nodelay(true)?;
                tcp.set_write_timeout(Some(duration(WRITE_LIMIT)))?;
                return Ok(tcp);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

type Stream<'c> = StreamOwned<ClientConnection, TimedSocket<'c>>;

/// Sends the upgrade request, which is the same for every agent, and reads the answer.
fn upgrade<'c>(
    stream: Stream<'c>,
    address: &Address,
) -> Result<WebSocket<Stream<'c>>, ConnectionError> {
    let uri: Uri =
        format!("wss://{address}{WEBSOCKET_PATH}").parse().map_err(ConnectionError::Url)?;
    let config = WebSocketConfig::default()
        .read_buffer_size(BUFFER)
        .write_buffer_size(0)
        .max_write_buffer_size(2 * MAX_FRAME)
        .max_message_size(Some(MAX_FRAME))
        .max_frame_size(Some(MAX_FRAME));
    match client_with_config(ClientRequestBuilder::new(uri), stream, Some(config)) {
        Ok((socket, _)) => Ok(socket),
        Err(HandshakeError::Interrupted(_)) => Err(ConnectionError::SlowUpgrade),
        Err(HandshakeError::Failure(error)) => Err(ConnectionError::Upgrade(Box::new(error))),
    }
}

fn broken(error: tungstenite::Error) -> ConnectionError {
    ConnectionError::Broken(Box::new(error))
}

fn is_timeout(error: &tungstenite::Error) -> bool {
    matches!(error, tungstenite::Error::Io(io) if io.kind() == ErrorKind::WouldBlock)
}

/// So long from now, as time since boot.
pub(crate) fn after(clock: &dyn Clock, span: Span) -> Span {
    Span::from_micros(clock.since_boot().as_micros().saturating_add(span.as_micros()))
}

/// A socket whose reads end at a deadline, however slowly the bytes drip.
struct TimedSocket<'c> {
    tcp: TcpStream,
    clock: &'c dyn Clock,
    /// Time since boot.
    deadline: Span,
}

impl Read for TimedSocket<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let now = self.clock.since_boot().as_micros();
        match self.deadline.as_micros().saturating_sub(now) {
            0 => Err(ErrorKind::WouldBlock.into()),
            left => {
                self.tcp.set_read_timeout(Some(duration(Span::from_micros(left))))?;
                self.tcp.read(buffer)
            }
        }
    }
}

impl Write for TimedSocket<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.tcp.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.tcp.flush()
    }
}
