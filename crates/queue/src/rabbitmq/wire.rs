//! The stream below a connection. Ours and not the client library's, so that TLS trusts what the
//! options name and nothing else, and a stream can be cut when the broker has fallen silent.

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use async_rs::Tokio;
use async_rs::traits::Reactor;
use futures_util::Stream;
use futures_util::io::{AsyncRead, AsyncWrite};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::compat::TokioAsyncReadCompatExt;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::options::{RabbitMqOptions, Trust};

/// A stream to the broker, until `over` says that it is over: the broker closed it, nobody uses
/// it any more, or somebody has cut it. Whatever comes first is seen by all.
pub(super) struct Wire {
    stream: Pin<Box<dyn Bytes>>,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    over: CancellationToken,
}

trait Bytes: AsyncRead + AsyncWrite + Send {}
impl<T: AsyncRead + AsyncWrite + Send> Bytes for T {}

/// Connects. The caller sets the limit of time.
pub(super) async fn connect(options: &RabbitMqOptions, over: CancellationToken) -> Result<Wire> {
    let stream = TcpStream::connect((options.host.as_str(), options.port)).await?;
    stream.set_nodelay(true)?;
    let stream: Pin<Box<dyn Bytes>> = match &options.trust {
        Trust::Plain => Box::pin(stream.compat()),
        Trust::Authorities(roots) => {
            let name = ServerName::try_from(options.host.clone()).map_err(Error::other)?;
            let stream = tls(roots)?.connect(name, stream).await?;
            Box::pin(TokioAsyncReadCompatExt::compat(stream))
        }
    };
    Ok(Wire { stream, cut: Box::pin(over.clone().cancelled_owned()), over })
}

fn tls(roots: &RootCertStore) -> Result<TlsConnector> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(Error::other)?
        .with_root_certificates(roots.clone())
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<Result<usize>> {
        if self.cut.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(ErrorKind::ConnectionAborted.into()));
        }
        let read = ready!(self.stream.as_mut().poll_read(cx, buffer));
        if matches!(read, Ok(0) | Err(_)) {
            self.over.cancel();
        }
        Poll::Ready(read)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        self.stream.as_mut().poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.stream.as_mut().poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.stream.as_mut().poll_close(cx)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.over.cancel();
    }
}

/// tokio, except that its streams are ours. Streams are handed over connected.
#[derive(Clone, Debug)]
pub(super) struct Wires(pub(super) Tokio);

impl Reactor for Wires {
    type TcpStream = Wire;
    type Sleep = <Tokio as Reactor>::Sleep;

    fn register<H: std::io::Read + std::io::Write + AsFd + AsRawFd + Send + 'static>(
        &self,
        socket: H,
    ) -> Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
        self.0.register(socket)
    }

    fn sleep(&self, duration: Duration) -> Self::Sleep {
        self.0.sleep(duration)
    }

    fn interval(&self, duration: Duration) -> impl Stream<Item = Instant> + Send + 'static {
        self.0.interval(duration)
    }

    fn tcp_connect_addr(
        &self,
        _: SocketAddr,
    ) -> impl Future<Output = Result<Wire>> + Send + 'static {
        std::future::ready(Err(ErrorKind::Unsupported.into()))
    }
}
