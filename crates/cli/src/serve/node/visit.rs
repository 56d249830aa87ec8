//! One visit to an API node: the node's conversation on a real socket.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use opencpm_domain::Timestamp;
use opencpm_operations::port::Clock;
use opencpm_protocol::conversation::{Breach, NodeConversation, NodeEvent, NodeStep, Pinned};
use opencpm_protocol::key::SigningKey;
use opencpm_protocol::message::{
    Challenge, Farewell, Goodbye, MAX_FRAME, PROTOCOL_VERSION, WEBSOCKET_PATH,
};
use opencpm_protocol::node::{CertificateRequest, Certified, Certify, TlsPublic};
use opencpm_protocol::sign::Signed;
use opencpm_protocol::tls::{self, TlsError as TrustError};
use rcgen::KeyPair;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_tungstenite::tungstenite::client::ClientRequestBuilder;
use tokio_tungstenite::tungstenite::http::Uri;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::super::authority::TlsError;

/// From the name to the answer.
const VISIT_LIMIT: Duration = Duration::from_secs(20);

/// A visit led to no certificate.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VisitError {
    /// Not of the form host:port.
    #[error("the address is not of the form host:port")]
    Address,
    /// No connection.
    #[error("cannot connect")]
    Connect(#[source] io::Error),
    /// The handshake failed.
    #[error("the TLS handshake failed")]
    Handshake(#[source] io::Error),
    /// Not a WebSocket server, or it broke.
    #[error("the connection broke")]
    Broken(#[source] Box<tungstenite::Error>),
    /// Too slow.
    #[error("the API node does not answer")]
    Slow,
    /// It closed without a word.
    #[error("the API node closed the connection")]
    Closed,
    /// TLS could not begin, or the server's certificate is not good under the deployment's
    /// statement; it heard nothing of us.
    #[error("the server is not trusted")]
    Untrusted(#[source] TrustError),
    /// It broke the protocol, or is of another deployment.
    #[error("the conversation with the API node failed")]
    Breach(#[source] Breach),
    /// It said no.
    #[error("{}", refusal(.0))]
    Goodbye(Goodbye),
}

impl VisitError {
    /// Whether asking again leads to nothing else: the deployment says no, or the API node is of
    /// another deployment than the token.
    pub(super) fn is_final(&self) -> bool {
        self.is_refusal() || matches!(self, Self::Breach(Breach::Signature(..) | Breach::Other(_)))
    }

    /// Whether the deployment says no, at whichever API node.
    pub(super) fn is_refusal(&self) -> bool {
        let Self::Goodbye(goodbye) = self else { return false };
        let farewell = Farewell::from_number(goodbye.why);
        matches!(
            farewell,
            Some(Farewell::TokenRefused | Farewell::NotRecognised | Farewell::Retired)
        )
    }
}

fn refusal(goodbye: &Goodbye) -> &'static str {
    match Farewell::from_number(goodbye.why) {
        Some(Farewell::TokenRefused) => "the node token is unknown, used up or expired",
        Some(Farewell::NotRecognised) => "the deployment does not know this node",
        Some(Farewell::Retired) => "this node was revoked",
        Some(Farewell::Unavailable) => "it cannot look at this now, or has no API role",
        _ => "it said goodbye for another reason",
    }
}

/// The public half of a TLS key, as a request names it.
pub(super) fn public(key: &KeyPair) -> Result<TlsPublic, TlsError> {
    let point = key.public_key_raw().try_into();
    point.map(TlsPublic).map_err(|_| rcgen::Error::UnsupportedSignatureAlgorithm.into())
}

type Socket = WebSocketStream<TlsStream<TcpStream>>;

/// Who visits.
pub(super) struct Visitor<'a> {
    pub(super) key: &'a SigningKey,
    pub(super) pinned: Pinned,
    pub(super) clock: &'a dyn Clock,
}

impl Visitor<'_> {
    /// Asks for a certificate of this TLS key; with a token's secret to join.
    pub(super) async fn visit(
        &self,
        address: &str,
        secret: Option<&[u8; 32]>,
        tls: TlsPublic,
    ) -> Result<Certified, VisitError> {
        let visit = async {
            let (host, _) = address.rsplit_once(':').ok_or(VisitError::Address)?;
            let host = host.trim_matches(['[', ']']);
            let (mut socket, chain) = connect(address, host).await?;
            let answer = self.converse(&mut socket, &chain, host, (secret, tls)).await;
            if answer.is_ok() {
                // Whether the peer hears it does not matter.
                drop(socket.close(None).await);
            }
            answer
        };
        timeout(VISIT_LIMIT, visit).await.unwrap_or(Err(VisitError::Slow))
    }

    async fn converse(
        &self,
        socket: &mut Socket,
        chain: &[CertificateDer<'static>],
        host: &str,
        (secret, tls): (Option<&[u8; 32]>, TlsPublic),
    ) -> Result<Certified, VisitError> {
        // The conversation measures time; a clock that jumps must not end it.
        let begun = Instant::now();
        let now = || Timestamp::from_micros(begun.elapsed().as_micros().try_into().unwrap_or(0));
        let mut conversation = NodeConversation::open(self.pinned.clone(), now());
        loop {
            let frame = match socket.next().await {
                Some(Ok(Message::Binary(frame))) => frame,
                Some(Ok(Message::Close(_))) | None => return Err(VisitError::Closed),
                Some(Ok(_)) => continue,
                Some(Err(error)) => return Err(VisitError::Broken(Box::new(error))),
            };
            let mut event = Some(NodeEvent::Frame(&frame));
            while let Some(happened) = event.take() {
                let (next, step) = conversation.handle(happened, now());
                conversation = next;
                match step {
                    None => {}
                    Some(NodeStep::Send(frame)) => {
                        let sent = socket.send(Message::Binary(frame.into())).await;
                        sent.map_err(|error| VisitError::Broken(Box::new(error)))?;
                    }
                    Some(NodeStep::Judge(statement)) => {
                        tls::judge(chain, host, &statement, self.clock.now())
                            .map_err(VisitError::Untrusted)?;
                        event = Some(NodeEvent::Trusted);
                    }
                    Some(NodeStep::Answer(challenge)) => {
                        let certify = self.certify(&challenge, secret, tls);
                        event = Some(NodeEvent::Certify(Box::new(certify)));
                    }
                    Some(NodeStep::Certified(certified)) => return Ok(*certified),
                    Some(NodeStep::Goodbye(goodbye)) => return Err(VisitError::Goodbye(goodbye)),
                    Some(NodeStep::Close(breach)) => return Err(VisitError::Breach(breach)),
                }
            }
        }
    }

    fn certify(&self, challenge: &Challenge, secret: Option<&[u8; 32]>, tls: TlsPublic) -> Certify {
        let request = CertificateRequest {
            nonce: challenge.nonce,
            deployment: self.pinned.deployment,
            node: self.key.public(),
            tls,
            hostname: hostname(),
            version: PROTOCOL_VERSION,
        };
        Certify {
            secret: secret.map(|secret| (*secret).into()),
            request: Signed::sign(&request, self.key),
        }
    }
}

/// Connects, shakes hands and upgrades. Whether the server is to be trusted is open still.
async fn connect(
    address: &str,
    host: &str,
) -> Result<(Socket, Vec<CertificateDer<'static>>), VisitError> {
    let name = tls::server_name(host).map_err(VisitError::Untrusted)?;
    let config = tls::client_config().map_err(VisitError::Untrusted)?;
    let tcp = TcpStream::connect(address).await.map_err(VisitError::Connect)?;
    let stream = TlsConnector::from(Arc::new(config)).connect(name, tcp).await;
    let stream = stream.map_err(VisitError::Handshake)?;
    let chain = stream.get_ref().1.peer_certificates().unwrap_or_default().to_vec();
    let uri: Uri =
        format!("wss://{address}{WEBSOCKET_PATH}").parse().map_err(|_| VisitError::Address)?;
    let limits = WebSocketConfig::default()
        .max_message_size(Some(MAX_FRAME))
        .max_frame_size(Some(MAX_FRAME));
    let request = ClientRequestBuilder::new(uri);
    let upgraded = client_async_with_config(request, stream, Some(limits)).await;
    let (socket, _) = upgraded.map_err(|error| VisitError::Broken(Box::new(error)))?;
    Ok((socket, chain))
}

/// For people, in the list of nodes.
fn hostname() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim_end().to_owned()
}
