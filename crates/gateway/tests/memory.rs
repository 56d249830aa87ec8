//! What an idle connection costs.

#![expect(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

mod support;

use std::ops::Range;
use std::sync::Arc;

use opencpm_fleet::{Fleet, Plan, Seed};
use opencpm_gateway::{Operations, PATH, upgrade};
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

/// The first connections warm up what is made once; the others show what each costs.
async fn per_connection<T>(mut connect: impl AsyncFnMut(Range<u16>) -> T) -> usize {
    let _first = connect(0..100).await;
    let before = resident();
    let _others = connect(100..100 + CONNECTIONS).await;
    let grown = resident().saturating_sub(before);
    grown / usize::from(CONNECTIONS)
}

#[tokio::test]
async fn an_idle_connection_in_process_costs_at_most_10_kib_with_its_device() {
    let _alone = ALONE.lock().await;
    let world = World::start().await;
    let each = per_connection(async |numbers| {
        let [first, _] = numbers.start.to_le_bytes();
        let (devices, seed) = (numbers.len() as u32, Seed::from_bytes([first + 1; 32]));
        let plan = Plan { devices, seed, faults: Vec::new() };
        let (fake, connector) = (Arc::clone(&world.fake), world.connector.clone());
        let dial = move |wire| {
            let connector = connector.clone();
            async move { connector.serve_stream(wire).await }
        };
        Fleet::start(plan, &world.fake.token, move || fake.now(), dial).await.unwrap()
    })
    .await;
    println!("{each} bytes for each connection, both ends together");
    assert!(each <= 10 * 1024, "{each}");
}

#[tokio::test]
async fn an_idle_connection_over_tls_costs_at_most_64_kib_with_both_ends() {
    let _alone = ALONE.lock().await;
    let world = World::start().await;
    let (config, certificate) = tls();
    let (acceptor, connector) = (TlsAcceptor::from(config), tls_connector(&certificate));
    let connect = async |number| {
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
    };
    let each = per_connection(async |numbers| {
        let mut kept = Vec::new();
        for number in numbers {
            kept.push(connect(number).await);
        }
        kept
    })
    .await;
    println!("{each} bytes for each connection, both ends together");
    assert!(each <= 64 * 1024, "{each}");
}
