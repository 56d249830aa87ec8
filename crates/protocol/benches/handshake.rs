//! What a full TLS handshake between an agent and a gateway costs each side, and what a resumed
//! one would: `cargo bench -p opencpm-protocol --features tls --bench handshake`.
//!
//! Both take turns in one thread, in memory, so the shares can be compared with each other. The
//! agent's share holds the judgement of the certificate, which a resumed session would need too.

#![expect(clippy::print_stdout, reason = "a benchmark answers on standard output")]
#![expect(clippy::expect_used, reason = "what goes wrong ends the benchmark")]

use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};

use opencpm_domain::{DeploymentId, Generation, Span, Timestamp};
use opencpm_protocol::statement::{TlsAuthority, TrustStatement};
use opencpm_protocol::tls::{client_config, judge, server_name};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::NoServerSessionStorage;
use rustls::{ClientConfig, ClientConnection, HandshakeKind, ServerConfig, ServerConnection};

const HOST: &str = "gateway.example";

/// Of each kind, in turn.
const HANDSHAKES: usize = 2_000;

/// While the certificate is good: 2026-06-01.
const NOW: Timestamp = Timestamp::from_secs(1_780_272_000);

fn main() {
    let (server, statement) = gateway();
    let today = client_config().expect("a client");
    let mut resuming = today.clone();
    resuming.resumption = Resumption::in_memory_sessions(1);
    let mut kinds = [
        Kind::new("full", today, server.clone()),
        Kind::new("resumed", resuming, with_tickets(server)),
    ];
    // Gives the second kind its first ticket.
    kinds[1].handshake(&statement);
    kinds[1].costs.clear();
    for _ in 0..HANDSHAKES {
        for kind in &mut kinds {
            let was = kind.handshake(&statement);
            assert_eq!(was == HandshakeKind::Resumed, kind.name == "resumed", "{was:?}");
        }
    }
    println!("handshake | gateway µs: median, 10 %, 90 % | agent µs: median, 10 %, 90 % | bytes");
    for kind in &kinds {
        println!(
            "{} | {} | {} | {}",
            kind.name,
            kind.shares(|cost| cost.gateway),
            kind.shares(|cost| cost.agent),
            kind.costs.last().map_or(0, |cost| cost.bytes)
        );
    }
}

/// A way to begin a connection, and what it cost so far.
struct Kind {
    name: &'static str,
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
    costs: Vec<Cost>,
}

/// Of one handshake.
#[derive(Default)]
struct Cost {
    gateway: Duration,
    agent: Duration,
    bytes: usize,
}

impl Kind {
    fn new(name: &'static str, client: ClientConfig, server: ServerConfig) -> Self {
        Self { name, client: Arc::new(client), server: Arc::new(server), costs: Vec::new() }
    }

    fn handshake(&mut self, statement: &TrustStatement) -> HandshakeKind {
        let mut cost = Cost::default();
        let name = server_name(HOST).expect("a name");
        let (client, server) = (Arc::clone(&self.client), Arc::clone(&self.server));
        let mut agent =
            timed(&mut cost.agent, || ClientConnection::new(client, name).expect("a client"));
        let mut gateway =
            timed(&mut cost.gateway, || ServerConnection::new(server).expect("a server"));
        loop {
            let out = timed(&mut cost.agent, || sent(|to| agent.write_tls(to)));
            timed(&mut cost.gateway, || {
                taken(&out, |from| gateway.read_tls(from));
                gateway.process_new_packets().expect("a good client");
            });
            let back = timed(&mut cost.gateway, || sent(|to| gateway.write_tls(to)));
            timed(&mut cost.agent, || {
                taken(&back, |from| agent.read_tls(from));
                agent.process_new_packets().expect("a good server");
            });
            cost.bytes += out.len() + back.len();
            if out.is_empty() && back.is_empty() {
                break;
            }
        }
        timed(&mut cost.agent, || {
            let chain = agent.peer_certificates().unwrap_or_default();
            judge(chain, HOST, statement, NOW).expect("a good chain");
        });
        self.costs.push(cost);
        agent.handshake_kind().expect("a handshake that is over")
    }

    fn shares(&self, of: fn(&Cost) -> Duration) -> String {
        let mut all: Vec<_> = self.costs.iter().map(of).collect();
        all.sort_unstable();
        let at = |percent: usize| all[all.len() * percent / 100].as_micros();
        format!("{}, {}, {}", at(50), at(10), at(90))
    }
}

fn timed<T>(sum: &mut Duration, work: impl FnOnce() -> T) -> T {
    let begin = Instant::now();
    let result = work();
    *sum += begin.elapsed();
    result
}

/// All that one side wants to send.
fn sent(mut write: impl FnMut(&mut Vec<u8>) -> std::io::Result<usize>) -> Vec<u8> {
    let mut bytes = Vec::new();
    while write(&mut bytes).expect("memory takes everything") > 0 {}
    bytes
}

fn taken(mut bytes: &[u8], mut read: impl FnMut(&mut dyn Read) -> std::io::Result<usize>) {
    while !bytes.is_empty() {
        read(&mut bytes).expect("memory gives everything");
    }
}

/// A gateway's side as it is, and the statement that lists its authority.
fn gateway() -> (ServerConfig, TrustStatement) {
    let authority_key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new([]).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&authority_key).expect("a certificate").der().to_vec();
    let issuer = Issuer::new(params, authority_key);
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new([HOST.to_owned()]).expect("a name");
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2027, 1, 1);
    let leaf = params.signed_by(&key, &issuer).expect("a certificate").der().clone();
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![leaf], key)
        .expect("a certificate and its key");
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    let statement = TrustStatement {
        deployment: DeploymentId::from_bytes([1; 16]),
        generation: Generation::FIRST,
        authorities: Vec::new(),
        row_keys: Vec::new(),
        tls_authorities: vec![TlsAuthority(authority)],
        longest_deadline: Span::from_secs(120),
        valid_from: Timestamp::from_secs(0),
        valid_until: Timestamp::from_secs(u64::from(u32::MAX)),
    };
    (config, statement)
}

/// One ticket with each connection, which the gateway can open without a memory of it.
fn with_tickets(mut config: ServerConfig) -> ServerConfig {
    config.ticketer = ring::Ticketer::new().expect("a ticket key");
    config.send_tls13_tickets = 1;
    config
}
