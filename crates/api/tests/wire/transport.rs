//! Methods, paths, HTTP versions, TLS, shutdown and defects.

use std::sync::Arc;

use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo};
use opencpm_api::Listener;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName,
};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig, crypto};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::ask::{Ask, HOST, Reply, get, post};
use crate::world::{World, patient, read_reply};

#[tokio::test]
async fn only_get_and_post_are_for_the_api() {
    let world = World::new().await;
    for method in ["PUT", "DELETE", "PATCH", "OPTIONS", "BREW"] {
        let request = Ask::new("DescribeDevice").get().replacen("GET", method, 1);
        let reply = world.send(request).await;
        assert_eq!((reply.status, reply.code()), (405, 4600), "{method}");
        assert_eq!(reply.json()["codeDesc"], "InvalidRequest.UnsupportedProtocol");
        assert!(reply.head.contains("\r\ncontent-type: application/json\r\n"));
        assert!(reply.head.contains("\r\nallow: get, post\r\n"));
        // Its size is looked at first, and that refusal has the status of all others.
        let long = get(&"a".repeat(65_520)).replacen("GET", method, 1);
        world.send(long).await.assert_refused(4000);
    }
    let reply = world.send(Ask::new("DescribeDevice").get().replacen("GET", "HEAD", 1)).await;
    assert_eq!((reply.status, reply.body.as_str()), (405, ""));
}

#[tokio::test]
async fn other_paths_are_not_there() {
    let world = World::new().await;
    for path in ["/v2/index.php/", "/v2/Index.php", "/v2", "//v2/index.php", "/v2/index%2Ephp"] {
        let request = Ask::new("DescribeDevice").get().replacen("/v2/index.php", path, 1);
        assert_eq!(world.send(request).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn requests_follow_each_other_on_a_connection() {
    let world = World::new().await;
    let mut stream = world.connect().await;
    let form = Ask::new("DescribeDevice").form("GET");
    let kept = get(&form).replace("Connection: close\r\n", "");
    stream.write_all((kept.clone() + &kept + &get(&form)).as_bytes()).await.unwrap();
    let mut text = String::new();
    patient(stream.read_to_string(&mut text)).await.unwrap();
    assert_eq!(text.matches("\"codeDesc\":\"Success\"").count(), 3);
}

#[tokio::test]
async fn a_client_may_end_its_sending_side_first() {
    let world = World::new().await;
    let mut stream = world.connect().await;
    stream.write_all(Ask::new("DescribeDevice").get().as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    read_reply(&mut stream).await.assert_done();
}

#[tokio::test]
async fn on_http_2_the_authority_is_the_host() {
    let world = World::new().await;
    let io = TokioIo::new(world.connect().await);
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    let driver = tokio::spawn(connection);
    let form = Ask::new("DescribeDevice").form("GET");
    let request = Request::get(format!("http://{HOST}/v2/index.php?{form}"))
        .body(Empty::<Bytes>::new())
        .unwrap();
    let response = patient(client.send_request(request)).await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/json");
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(body.starts_with(b"{\"code\":0,"), "{body:?}");
    drop(client);
    patient(driver).await.unwrap().unwrap();
}

#[tokio::test]
async fn https_speaks_both_versions() {
    let (config, root) = certificate();
    let world = World::listening(Default::default(), |socket| Listener::tls(socket, &config)).await;
    let mut stream = handshake(&world, &root, &[]).await;
    stream.write_all(Ask::new("DescribeDevice").get().as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    patient(stream.read_to_end(&mut bytes)).await.unwrap();
    Reply::read(&bytes).assert_done();
    let stream = handshake(&world, &root, &[b"h2", b"http/1.1"]).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
}

#[tokio::test]
async fn plain_http_on_the_https_port_does_no_harm() {
    let (config, _) = certificate();
    let world = World::listening(Default::default(), |socket| Listener::tls(socket, &config)).await;
    let mut stream = world.connect().await;
    stream.write_all(Ask::new("DescribeDevice").get().as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    // A TLS alert or a reset: either says that this is not HTTP.
    let _ = patient(stream.read_to_end(&mut bytes)).await;
    assert!(!bytes.starts_with(b"HTTP"));
}

#[tokio::test]
async fn shutdown_lets_a_request_finish() {
    let world = World::new().await;
    let mut stream = world.connect().await;
    let slow = Ask::reset("abce1234").with("instanceIds.0", "cpm-slow");
    stream.write_all(post(&slow.form("POST")).as_bytes()).await.unwrap();
    patient(world.service.asked.first()).await;
    world.shutdown.cancel();
    world.service.gate.add_permits(1);
    read_reply(&mut stream).await.assert_done();
    drop(stream);
    patient(world.server).await.unwrap();
    assert!(tokio::net::TcpStream::connect(world.address).await.is_err());
}

#[tokio::test]
async fn a_defect_is_answered_and_the_server_goes_on() {
    let world = World::new().await;
    let broken = Ask::reset("abce1234").with("instanceIds.0", "cpm-broken");
    world.send(broken.post()).await.assert_refused(6000);
    world.send(Ask::reset("abce1234").post()).await.assert_done();
}

fn certificate() -> (ServerConfig, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let root = made.cert.der().clone();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![root.clone()], key)
        .unwrap();
    (config, root)
}

async fn handshake(
    world: &World,
    root: &CertificateDer<'static>,
    protocols: &[&[u8]],
) -> TlsStream<tokio::net::TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(root.clone()).unwrap();
    let mut config =
        ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|p| p.to_vec()).collect();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, world.connect().await).await.unwrap()
}
