//! A gateway whose store is a table in memory, and agents to connect to it.

#![expect(dead_code, reason = "each test program uses its own part")]
#![expect(unreachable_pub, reason = "shared by test programs as if it were a library")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

pub mod agent;
pub mod deployment;
pub mod fake;

use std::sync::Arc;
use std::time::Duration;

use opencpm_gateway::{Config, Connector, Gateway, Pipe};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};
use tokio_util::sync::CancellationToken;

use agent::{Agent, Device};
use fake::Fake;

/// A running gateway.
pub struct World {
    pub fake: Arc<Fake>,
    pub gateway: Gateway,
    pub connector: Connector,
    pub shutdown: CancellationToken,
    pub address: std::net::SocketAddr,
    pub certificate: CertificateDer<'static>,
}

impl World {
    pub async fn start() -> Self {
        Self::with(Config::default()).await
    }

    pub async fn with(config: Config) -> Self {
        Self::over(Fake::new(), config).await
    }

    pub async fn over(fake: Fake, config: Config) -> Self {
        let fake = Arc::new(fake);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (tls, certificate) = tls();
        let shutdown = CancellationToken::new();
        let operations = Arc::clone(&fake);
        let gateway = Gateway::start_with(config, operations, listener, tls, shutdown.clone());
        let connector = gateway.connector();
        Self { fake, gateway, connector, shutdown, address, certificate }
    }

    /// A connection without a socket; the device has said nothing yet.
    pub fn dial(&self, capacity: usize) -> Pipe {
        let (ours, theirs) = Pipe::pair(capacity);
        let connector = self.connector.clone();
        tokio::spawn(async move { connector.serve_stream(theirs).await });
        ours
    }

    /// A TCP connection to the listener.
    pub async fn dial_tcp(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// TLS on a new connection.
    pub async fn dial_tls(&self) -> TlsStream<TcpStream> {
        let name = ServerName::try_from("localhost").unwrap();
        let connector = tls_connector(&self.certificate);
        soon(connector.connect(name, self.dial_tcp().await)).await.unwrap()
    }

    /// A WebSocket over TLS.
    pub async fn dial_websocket(&self) -> WebSocketStream<TlsStream<TcpStream>> {
        soon(upgrade_client(self.dial_tls().await, opencpm_gateway::PATH)).await.unwrap()
    }

    /// A new device, connected and welcomed.
    pub async fn connect(&self, device: &Device) -> Agent<Pipe> {
        Agent::connect(self.dial(16), device, &self.fake).await
    }

    /// Ends in good order: no task panicked.
    pub async fn stop(self) -> Arc<Fake> {
        self.shutdown.cancel();
        self.gateway.finished().await.unwrap();
        self.fake
    }
}

pub fn tls() -> (Arc<ServerConfig>, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()).into();
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    config.send_tls13_tickets = 0;
    (Arc::new(config), certificate)
}

/// Speaks TLS, and trusts this certificate only.
pub fn tls_connector(certificate: &CertificateDer<'static>) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

/// The client's side of the upgrade, with small buffers.
pub async fn upgrade_client<S>(stream: S, path: &str) -> Result<WebSocketStream<S>, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let config = WebSocketConfig::default().read_buffer_size(1024).write_buffer_size(0);
    let url = format!("wss://localhost{path}");
    Ok(client_async_with_config(url, stream, Some(config)).await?.0)
}

/// Fails a test that waits for something that never happens.
pub async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), what).await.expect("it happens in time")
}
