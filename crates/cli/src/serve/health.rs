//! The listener that load balancers and service managers ask: plain HTTP, no secrets, a few words.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::readiness::Readiness;

/// Connections at a time; more wait in the kernel's queue.
const CONNECTIONS: usize = 256;

/// From the connection to its last byte. One connection asks once.
const CONNECTION_TIME: Duration = Duration::from_secs(2);

/// After a failed accept, such as for want of file descriptors, before the next one.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How a process is, and the listener that tells it. Dropping it ends the listener.
pub(super) struct Health {
    pub(super) readiness: Arc<Readiness>,
    listener: JoinSet<()>,
}

impl Health {
    /// Of a process that starts. Answers from now on, if there is a socket.
    pub(super) fn start(socket: Option<TcpListener>) -> Self {
        let readiness = Arc::new(Readiness::new());
        let mut listener = JoinSet::new();
        if let Some(socket) = socket {
            listener.spawn(listen(socket, Arc::clone(&readiness)));
        }
        Self { readiness, listener }
    }

    /// Whether anybody can ask.
    pub(super) fn is_told(&self) -> bool {
        !self.listener.is_empty()
    }
}

async fn listen(socket: TcpListener, readiness: Arc<Readiness>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    // Aborted with this task.
    let mut connections = JoinSet::new();
    while let Ok(permit) = Arc::clone(&room).acquire_owned().await {
        while connections.try_join_next().is_some() {}
        match socket.accept().await {
            Ok((stream, _)) => {
                let readiness = Arc::clone(&readiness);
                connections.spawn(async move {
                    // Who is slow is cut off; nobody needs to know.
                    let _ = timeout(CONNECTION_TIME, serve(stream, &readiness)).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, readiness: &Readiness) {
    let answer =
        service_fn(
            |request| async move { Ok::<_, Infallible>(respond(&request, readiness).await) },
        );
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(CONNECTION_TIME)
        .keep_alive(false)
        .max_buf_size(8 << 10)
        .serve_connection(TokioIo::new(stream), answer)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a probe ended early");
    }
}

async fn respond(request: &Request<Incoming>, readiness: &Readiness) -> Response<Full<Bytes>> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut refusal = text(StatusCode::METHOD_NOT_ALLOWED, "GET or HEAD\n".into());
        refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refusal;
    }
    match request.uri().path() {
        "/healthz" if readiness.is_whole() => text(StatusCode::OK, "alive\n".into()),
        "/healthz" => text(StatusCode::SERVICE_UNAVAILABLE, "broken\n".into()),
        "/readyz" => {
            let missing = readiness.missing().await;
            if missing.is_empty() {
                text(StatusCode::OK, "ready\n".into())
            } else {
                let why = format!("not ready: {}\n", missing.join(" "));
                text(StatusCode::SERVICE_UNAVAILABLE, why)
            }
        }
        _ => text(StatusCode::NOT_FOUND, "/healthz or /readyz\n".into()),
    }
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
