//! The agents' listener: TLS, the WebSocket upgrade, and bounds for whoever has proved nothing.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use opencpm_protocol::message::MAX_FRAME;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::StatusCode;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async_with_config};
use tokio_util::sync::CancellationToken;

use crate::gateway::Shared;

/// Where the WebSocket is. Nothing about the device is in the address or a header.
pub const PATH: &str = "/agent/v1";

/// Of each direction. Frames are rarely larger; larger ones pass in portions.
const BUFFER: usize = 1024;

/// After an accept that failed, such as for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Accepts connections until the shutdown. Unfinished handshakes are bounded: the next connection
/// is accepted when there is room.
pub(crate) async fn listen(
    gateway: Arc<Shared>,
    listener: TcpListener,
    tls: Arc<tokio_rustls::rustls::ServerConfig>,
    shutdown: CancellationToken,
) {
    let acceptor = TlsAcceptor::from(tls);
    let addresses = Arc::new(Addresses::new(gateway.config.handshakes_per_address));
    // One connection at most waits here for room; the others wait in the system's backlog.
    let next = async || {
        let accepted = listener.accept().await;
        Some((accepted, Arc::clone(&gateway.handshakes).acquire_owned().await.ok()?))
    };
    while let Some(Some((accepted, permit))) = shutdown.run_until_cancelled(next()).await {
        match accepted {
            Ok((socket, peer)) => {
                let Some(visit) = addresses.admit(peer.ip()) else { continue };
                let admission = Admission { _permit: permit, _visit: Some(visit) };
                let greeting = greet(Arc::clone(&gateway), acceptor.clone(), socket, admission);
                gateway.tasks.spawn(shutdown.clone().run_until_cancelled_owned(greeting));
            }
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "cannot accept");
                sleep(PAUSE).await;
            }
        }
    }
}

/// TLS and upgrade, then the session in a task of its own: this one's state is large.
async fn greet(
    gateway: Arc<Shared>,
    acceptor: TlsAcceptor,
    socket: TcpStream,
    admission: Admission,
) {
    let accepted = Instant::now();
    let limit = accepted + gateway.config.upgrade_limit;
    let upgraded = async {
        socket.set_nodelay(true).map_err(tungstenite::Error::Io)?;
        let stream = acceptor.accept(socket).await.map_err(tungstenite::Error::Io)?;
        upgrade(stream).await
    };
    match timeout_at(limit, upgraded).await {
        Ok(Ok(transport)) => {
            let tasks = gateway.tasks.clone();
            tasks.spawn(async move { gateway.serve(transport, admission, accepted).await });
        }
        Ok(Err(error)) => {
            tracing::debug!(error = &error as &dyn std::error::Error, "not a WebSocket over TLS");
        }
        Err(_) => tracing::debug!("a peer took too long to say what it wants"),
    }
}

/// The server's side of the WebSocket upgrade, on any stream of bytes, with the buffers and
/// bounds of the agents' listener.
pub async fn upgrade<S>(stream: S) -> Result<WebSocketStream<S>, tungstenite::Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let config = WebSocketConfig::default()
        .read_buffer_size(BUFFER)
        .write_buffer_size(0)
        .max_write_buffer_size(2 * MAX_FRAME)
        .max_message_size(Some(MAX_FRAME))
        .max_frame_size(Some(MAX_FRAME));
    accept_hdr_async_with_config(stream, check_path, Some(config)).await
}

#[expect(clippy::result_large_err, reason = "the library's signature")]
fn check_path(request: &Request, response: Response) -> Result<Response, ErrorResponse> {
    if request.uri().path() == PATH && request.uri().query().is_none() {
        return Ok(response);
    }
    let mut refusal = ErrorResponse::new(None);
    *refusal.status_mut() = StatusCode::NOT_FOUND;
    Err(refusal)
}

/// The place of a peer among those that have proved nothing yet, until it is dropped.
pub(crate) struct Admission {
    _permit: OwnedSemaphorePermit,
    _visit: Option<Visit>,
}

impl Admission {
    /// For a peer without an address.
    pub(crate) const fn new(permit: OwnedSemaphorePermit) -> Self {
        Self { _permit: permit, _visit: None }
    }
}

/// Unfinished handshakes of each address.
struct Addresses {
    most: Option<NonZeroUsize>,
    visits: Mutex<HashMap<IpAddr, usize>>,
}

/// One of them, until it is dropped.
struct Visit {
    addresses: Arc<Addresses>,
    address: IpAddr,
}

impl Addresses {
    fn new(most: Option<NonZeroUsize>) -> Self {
        Self { most, visits: Mutex::default() }
    }

    /// `None` when the address has too many already.
    fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Visit> {
        let mut visits = self.visits();
        let count = visits.entry(address).or_default();
        if self.most.is_some_and(|most| *count >= most.get()) {
            return None;
        }
        *count += 1;
        Some(Visit { addresses: Arc::clone(self), address })
    }

    fn visits(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.visits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let mut visits = self.addresses.visits();
        if let Some(count) = visits.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                visits.remove(&self.address);
            }
        }
    }
}
