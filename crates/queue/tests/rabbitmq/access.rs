//! Getting in: login and TLS.

use std::error::Error;
use std::sync::Arc;

use opencpm_operations::port::{Queue, QueueError};
use opencpm_queue::{RabbitMqOptions, RabbitMqQueue};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::contract::{gateway, jobs, ready, take};
use crate::world::{deployment, shared};

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_refused_and_told_nowhere() {
    let options = RabbitMqOptions::new(&shared().url(), "sesame-4711".into(), None).unwrap();
    let shown = format!("{options:?} {options}");
    let queue = RabbitMqQueue::connect(options, deployment()).await;
    let refusal = queue.check().await.unwrap_err();
    let told = format!("{shown} {refusal:?} {}", chain(&refusal));
    assert!(!told.contains("sesame"), "{told}");
    queue.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_behind_tls_is_used_when_its_authority_is_trusted() {
    let (port, authority) = tls_in_front_of_the_broker().await;
    let queue = at(port, &authority).await;
    let mut one = queue.subscribe(gateway(1)).await.unwrap();
    queue.publish(vec![ready(1, 0..2)]).await.unwrap();
    assert_eq!(take(&mut one, 2).await, jobs(0..2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_of_another_authority_is_not_spoken_to() {
    let (port, _) = tls_in_front_of_the_broker().await;
    let (_, other) = certificate();
    let queue = at(port, &other).await;
    assert!(queue.check().await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_without_tls_is_not_spoken_to_where_tls_is_asked_for() {
    let (_, authority) = certificate();
    let queue = at(shared().port(), &authority).await;
    assert!(queue.check().await.is_err());
}

async fn at(port: u16, authority: &str) -> RabbitMqQueue {
    let url = format!("amqps://{}@localhost:{port}/%2f", shared().user());
    let password = shared().password().into();
    let options = RabbitMqOptions::new(&url, password, Some(authority.as_bytes())).unwrap();
    RabbitMqQueue::connect(options, deployment()).await
}

/// The broker of the tests speaks no TLS itself. Returns the port, and the authority in PEM.
async fn tls_in_front_of_the_broker() -> (u16, String) {
    let (config, authority) = certificate();
    let acceptor = TlsAcceptor::from(config);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((outside, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // Who does not trust us goes.
                let Ok(mut outside) = acceptor.accept(outside).await else { return };
                let mut inside = TcpStream::connect(("127.0.0.1", shared().port())).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
            });
        }
    });
    (port, authority)
}

fn certificate() -> (Arc<ServerConfig>, String) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    (Arc::new(config), cert.pem())
}

fn chain(error: &QueueError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(&format!(": {error}"));
        source = error.source();
    }
    text
}
