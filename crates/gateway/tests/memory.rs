//! What an idle connection costs.

#![expect(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

mod support;

use std::sync::Arc;

use opencpm_gateway::{PATH, upgrade};
use support::agent::{Agent, Device};
use support::{World, tls, tls_connector, upgrade_client};
use tokio::sync::Mutex;
use tokio_rustls::TlsAcceptor;

const CONNECTIONS: u16 = 2_000;

/// Two measurements in one process would count each other.
static ALONE: Mutex<()> = Mutex::const_new(());

/// Resident bytes of this process (proc_pid_statm(5)).
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

/// Every connection warms up what is made once; the rest is what each costs.
async fn per_connection<T>(mut connect: impl AsyncFnMut(u16) -> T) -> usize {
    let mut kept = Vec::new();
    for number in 0..100 {
        kept.push(connect(number).await);
    }
    let before = resident();
    for number in 100..100 + CONNECTIONS {
        kept.push(connect(number).await);
    }
    let grown = resident().saturating_sub(before);
    grown / usize::from(CONNECTIONS)
}

#[tokio::test]
async fn an_idle_connection_in_process_costs_at_most_16_kib() {
    let _alone = ALONE.lock().await;
    let world = World::start().await;
    let each = per_connection(async |number| {
        let device = Device::enrolled(number, &world.fake);
        world.connect(&device).await
    })
    .await;
    println!("{each} bytes for each connection, both ends together");
    assert!(each <= 16 * 1024, "{each}");
}

#[tokio::test]
async fn an_idle_connection_over_tls_costs_at_most_64_kib_with_both_ends() {
    let _alone = ALONE.lock().await;
    let world = World::start().await;
    let (config, certificate) = tls();
    let (acceptor, connector) = (TlsAcceptor::from(config), tls_connector(&certificate));
    let each = per_connection(async |number| {
        let device = Device::enrolled(number, &world.fake);
        let (near, far) = tokio::io::duplex(4096);
        let (acceptor, gateway) = (acceptor.clone(), world.connector.clone());
        tokio::spawn(async move {
            let accepted = Box::pin(async move { upgrade(acceptor.accept(far).await?).await });
            if let Ok(transport) = accepted.await {
                tokio::spawn(async move { gateway.serve_stream(transport).await });
            }
        });
        let name = "localhost".try_into().unwrap();
        let stream = connector.connect(name, near).await.unwrap();
        let transport = upgrade_client(stream, PATH).await.unwrap();
        let fake = Arc::clone(&world.fake);
        Agent::connect(transport, &device, &fake).await
    })
    .await;
    println!("{each} bytes for each connection, both ends together");
    assert!(each <= 64 * 1024, "{each}");
}
