//! A server with a service that is made up.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opencpm_api::{Edge, Listener, Settings};
use opencpm_domain::Timestamp;
use opencpm_operations::port::{Clock, Random};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::ask::Reply;
use crate::fake::Fake;

pub(crate) const SECRET_ID: &str = "AKIDEXAMPLE0001";
pub(crate) const SECRET_KEY: &str = "example-secret-key-0001";
pub(crate) const NOW: u64 = 1_700_000_000;

/// Nothing in these tests may take longer.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct World {
    pub(crate) address: SocketAddr,
    pub(crate) service: Arc<Fake>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) server: JoinHandle<()>,
}

struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        Timestamp::from_secs(NOW)
    }
}

/// Random enough for the names of requests.
#[derive(Default)]
struct Counting(AtomicU64);

impl Random for Counting {
    fn fill(&self, buffer: &mut [u8]) {
        let number = self.0.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        buffer.iter_mut().zip(number.into_iter().cycle()).for_each(|(b, n)| *b = n);
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(Settings::default()).await
    }

    pub(crate) async fn with(settings: Settings) -> Self {
        Self::listening(settings, Listener::plain).await
    }

    pub(crate) async fn listening(
        settings: Settings,
        listener: impl FnOnce(TcpListener) -> Listener,
    ) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let service = Arc::new(Fake::default());
        let edge =
            Edge::new(service.clone(), Arc::new(Stopped), Arc::new(Counting::default()), settings);
        let shutdown = CancellationToken::new();
        let server = tokio::spawn(listener(socket).run(edge, shutdown.clone()));
        Self { address, service, shutdown, server }
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends raw bytes and reads until the server closes.
    pub(crate) async fn send(&self, request: impl AsRef<[u8]>) -> Reply {
        let mut stream = self.connect().await;
        stream.write_all(request.as_ref()).await.unwrap();
        read_reply(&mut stream).await
    }
}

pub(crate) async fn read_reply(stream: &mut TcpStream) -> Reply {
    let mut bytes = Vec::new();
    patient(stream.read_to_end(&mut bytes)).await.unwrap();
    Reply::read(&bytes)
}

pub(crate) async fn patient<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect("in time")
}

/// What the service was asked for, in order.
#[derive(Default)]
pub(crate) struct Asked(Mutex<Vec<String>>);

impl Asked {
    pub(crate) fn note(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    /// Waits until the service was asked for something.
    pub(crate) async fn first(&self) {
        while self.all().is_empty() {
            tokio::task::yield_now().await;
        }
    }
}
