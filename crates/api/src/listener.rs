use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Edge;
use crate::activity::Activity;
use crate::wire::Wire;

/// After a failed accept, such as for want of file descriptors, before the next one.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The largest head of a request; it must hold a request line of the largest size.
const MAX_HEAD: u32 = 128 << 10;

/// What one HTTP/2 connection may send ahead of our reading.
const MAX_AHEAD: u32 = 256 << 10;

/// A socket on which the API answers.
pub struct Listener {
    socket: TcpListener,
    tls: Option<TlsAcceptor>,
}

impl Listener {
    /// HTTPS with this certificate, HTTP/1.1 and HTTP/2.
    pub fn tls(socket: TcpListener, config: &ServerConfig) -> Self {
        let mut config = config.clone();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Self { socket, tls: Some(TlsAcceptor::from(Arc::new(config))) }
    }

    /// Plain HTTP, for operators who turned it on.
    pub fn plain(socket: TcpListener) -> Self {
        Self { socket, tls: None }
    }

    /// Accepts and answers until the token is cancelled; then waits for the requests that are
    /// under way, at most as long as the limits say.
    pub async fn run(self, edge: Arc<Edge>, shutdown: CancellationToken) {
        let connections = TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                () = shutdown.cancelled() => break,
                accepted = self.accept(&edge) => accepted,
            };
            let Some((stream, peer, permit)) = accepted else { continue };
            let (edge, tls, shutdown) = (edge.clone(), self.tls.clone(), shutdown.clone());
            connections.spawn(async move {
                connect(stream, peer, tls, edge, shutdown).await;
                drop(permit);
            });
        }
        drop(self.socket);
        connections.close();
        let drained = async {
            connections.wait().await;
            edge.finish_work().await;
        };
        if tokio::time::timeout(edge.settings().limits.drain_time, drained).await.is_err() {
            tracing::warn!(left = connections.len(), "connections were cut off at shutdown");
        }
    }

    async fn accept(
        &self,
        edge: &Edge,
    ) -> Option<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
        let permit = edge.connections().clone().acquire_owned().await.ok()?;
        match self.socket.accept().await {
            Ok((stream, peer)) => Some((stream, peer, permit)),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                None
            }
        }
    }
}

async fn connect(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
    edge: Arc<Edge>,
    shutdown: CancellationToken,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, %error, "the connection was gone at once");
        return;
    }
    let Some(tls) = tls else { return serve(stream, edge, shutdown).await };
    let handshake = tokio::time::timeout(edge.settings().limits.handshake_time, tls.accept(stream));
    match handshake.await {
        Ok(Ok(stream)) => serve(stream, edge, shutdown).await,
        Ok(Err(error)) => tracing::debug!(%peer, %error, "the TLS handshake failed"),
        Err(_) => tracing::debug!(%peer, "the TLS handshake took too long"),
    }
}

async fn serve<S>(stream: S, edge: Arc<Edge>, shutdown: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let limits = edge.settings().limits.clone();
    let mut server = auto::Builder::new(TokioExecutor::new());
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_time)
        .max_buf_size(MAX_HEAD as usize)
        // A client may end its sending side and still wait for the answer.
        .half_close(true);
    server
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(MAX_HEAD)
        .initial_connection_window_size(MAX_AHEAD)
        .initial_stream_window_size(MAX_AHEAD)
        .keep_alive_interval(limits.head_time)
        .keep_alive_timeout(limits.head_time);
    let activity = Arc::new(Activity::default());
    let wire_edge = Arc::clone(&edge);
    let requests = Arc::clone(&activity);
    let answer = service_fn(move |request| {
        let (edge, running) = (edge.clone(), requests.begin());
        async move {
            let answered = edge.respond(request).await;
            drop(running);
            answered
        }
    });
    let io = TokioIo::new(Wire::new(stream, wire_edge));
    let mut connection = std::pin::pin!(server.serve_connection(io, answer));
    let ended = tokio::select! {
        result = connection.as_mut() => Some(result),
        () = shutdown.cancelled() => None,
        () = tokio::time::sleep(limits.connection_age) => None,
        // On HTTP/2 the library would keep a client that does nothing but answer its pings.
        () = activity.idle_for(limits.head_time) => None,
    };
    let result = match ended {
        Some(result) => Ok(result),
        None => {
            connection.as_mut().graceful_shutdown();
            tokio::time::timeout(limits.farewell_time, connection).await
        }
    };
    match result {
        Ok(Ok(())) => {}
        // The library's text says what went wrong with the connection, never what was sent.
        Ok(Err(error)) => tracing::debug!(%error, "a connection ended early"),
        Err(_) => tracing::debug!("a client did not take its last answers"),
    }
}
