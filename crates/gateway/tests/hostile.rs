//! Garbage and hostile peers on the real listener: each is closed, and others are served.

mod support;

use std::num::NonZeroUsize;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use opencpm_gateway::{Config, PATH};
use opencpm_protocol::conversation::AgentEvent;
use opencpm_protocol::message::{Farewell, MAX_FRAME, ToServer};
use support::agent::{Agent, Device};
use support::{World, soon, upgrade_client};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_tungstenite::tungstenite::{Error, Message};

/// Waits until the peer has closed, however it does that.
async fn closed(mut stream: impl AsyncRead + Unpin) {
    soon(async {
        let mut buffer = [0; 4096];
        while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
    })
    .await;
}

/// Writes what the peer still takes, and waits until it has closed.
async fn shout(stream: impl AsyncRead + AsyncWrite + Unpin, noise: &[u8]) {
    let (reader, mut writer) = tokio::io::split(stream);
    let writing = async {
        let _ = writer.write_all(noise).await;
    };
    tokio::join!(closed(reader), writing);
}

/// An honest device does its job, over the same listener.
async fn others_are_served(world: &World) {
    let device = Device::enrolled(999, &world.fake);
    let mut agent = Agent::connect(world.dial_websocket().await, &device, &world.fake).await;
    let job = world.fake.publish_job(&device).await;
    assert_eq!(agent.job().await, job);
    let report = device.report(job, world.fake.deployment);
    agent.say(AgentEvent::Report(Box::new(report))).await;
    assert_eq!(agent.kept().await, [job]);
}

fn hasty() -> Config {
    // Long enough for an honest handshake on a busy machine.
    let upgrade_limit = Duration::from_millis(1_500);
    let (hand_over, drain) = (Duration::ZERO, Duration::from_millis(500));
    Config { upgrade_limit, hand_over, drain, ..Config::default() }
}

/// Bytes that look random and are the same in each run.
fn noise(length: usize) -> Vec<u8> {
    let step = |state: &mut u32| {
        *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Some((*state >> 24) as u8)
    };
    std::iter::repeat_n((), length).scan(7, |state, ()| step(state)).collect()
}

#[tokio::test]
async fn peers_that_speak_no_tls_are_closed() {
    let world = World::with(hasty()).await;
    shout(world.dial_tcp().await, b"GET /agent/v1 HTTP/1.1\r\nHost: x\r\n\r\n").await;
    for length in [1, 100, 10_000, 1_000_000] {
        shout(world.dial_tcp().await, &noise(length)).await;
    }
    others_are_served(&world).await;
    world.stop().await;
}

#[tokio::test]
async fn peers_that_speak_tls_but_no_websocket_are_closed() {
    let world = World::with(hasty()).await;
    for length in [1, 100, 10_000, 1_000_000] {
        shout(world.dial_tls().await, &noise(length)).await;
    }
    let endless = [b"GET /agent/v1 HTTP/1.1\r\nX: ".to_vec(), vec![b'x'; 1_000_000]].concat();
    shout(world.dial_tls().await, &endless).await;
    others_are_served(&world).await;
    world.stop().await;
}

#[tokio::test]
async fn nothing_is_served_at_another_path() {
    let world = World::with(hasty()).await;
    for path in ["/", "/agent/v2", &format!("{PATH}?instance=cpm-1")] {
        let refused = upgrade_client(world.dial_tls().await, path).await;
        assert!(matches!(refused, Err(Error::Http(answer)) if answer.status() == 404), "{path}");
    }
    others_are_served(&world).await;
    world.stop().await;
}

#[tokio::test]
async fn slow_peers_lose_their_place_to_others() {
    let handshakes = NonZeroUsize::new(4).unwrap();
    let world = World::with(Config { handshakes, ..hasty() }).await;
    let mut idle = Vec::new();
    for number in 0..12 {
        let mut socket = world.dial_tcp().await;
        // Some begin a TLS record and never end it.
        if number % 2 == 0 {
            socket.write_all(&[22, 3, 1, 2, 0, 1]).await.unwrap();
        }
        idle.push(socket);
    }
    others_are_served(&world).await;
    for socket in idle {
        closed(socket).await;
    }
    world.stop().await;
}

#[tokio::test]
async fn one_address_cannot_take_every_place_where_the_operator_says_so() {
    let handshakes_per_address = NonZeroUsize::new(2);
    let world = World::with(Config { handshakes_per_address, ..Config::default() }).await;
    let held = [world.dial_tcp().await, world.dial_tcp().await];
    closed(world.dial_tcp().await).await;
    drop(held);
    // Places are free again once the gateway has seen the others go.
    let name = ServerName::try_from("localhost").unwrap();
    let connector = support::tls_connector(&world.certificate);
    let connect =
        async { while connector.connect(name.clone(), world.dial_tcp().await).await.is_err() {} };
    soon(connect).await;
    others_are_served(&world).await;
    world.stop().await;
}

#[tokio::test]
async fn frames_that_are_too_large_or_claim_to_be_are_refused() {
    let world = World::with(hasty()).await;
    let mut agent = world.dial_websocket().await;
    let _ = agent.send(Message::Binary(vec![0; MAX_FRAME + 1].into())).await;
    soon(async { while let Some(Ok(_)) = agent.next().await {} }).await;
    // A header that claims 2^62 bytes, masked.
    let claim = [0x82, 0xff, 0x40, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4];
    let agent = world.dial_websocket().await;
    shout(agent.into_inner(), &claim).await;
    // Pieces that never end.
    let piece = [&[0x02, 0xfe, 0xff, 0xff, 0, 0, 0, 0][..], &[0; 0xffff]].concat();
    let pieces = [piece.clone(), [&[0x00][..], &piece[1..]].concat()].concat();
    let agent = world.dial_websocket().await;
    shout(agent.into_inner(), &pieces).await;
    others_are_served(&world).await;
    world.stop().await;
}

#[tokio::test]
async fn frames_of_noise_end_in_a_farewell() {
    let world = World::with(hasty()).await;
    for length in [0, 1, 7, 1_000, MAX_FRAME] {
        let mut agent = Agent::open(world.dial_websocket().await, &world.fake);
        agent.challenge().await;
        agent.send_raw(noise(length)).await;
        assert_eq!(agent.farewell().await, Some(Farewell::Protocol));
        assert!(agent.next().await.is_none());
    }
    let mut text = Agent::open(world.dial_websocket().await, &world.fake);
    text.challenge().await;
    let _ = text.transport.send(Message::text("hello")).await;
    assert_eq!(text.farewell().await, Some(Farewell::Protocol));
    others_are_served(&world).await;
    world.stop().await;
}

#[tokio::test]
async fn liars_are_sent_away_and_nothing_of_theirs_is_kept() {
    let world = World::with(hasty()).await;
    let (one, two) = (Device::enrolled(1, &world.fake), Device::enrolled(2, &world.fake));
    let deployment = world.fake.deployment;

    let mut agent = Agent::open(world.dial_websocket().await, &world.fake);
    let recorded = one.hello(agent.challenge().await.nonce, deployment);
    let mut replayer = Agent::open(world.dial_websocket().await, &world.fake);
    replayer.challenge().await;
    replayer.say(AgentEvent::Hello(Box::new(recorded))).await;
    assert_eq!(replayer.farewell().await, Some(Farewell::Protocol));

    let mut forger = two.clone();
    forger.instance = one.instance.clone();
    let mut agent = Agent::open(world.dial_websocket().await, &world.fake);
    let forged = forger.hello(agent.challenge().await.nonce, deployment);
    agent.say(AgentEvent::Hello(Box::new(forged))).await;
    assert_eq!(agent.farewell().await, Some(Farewell::NotRecognised));

    let job = world.fake.add_job(&two);
    let mut agent = Agent::connect(world.dial_websocket().await, &one, &world.fake).await;
    agent.send_raw(ToServer::Report(two.report(job, deployment)).encode()).await;
    assert_eq!(agent.farewell().await, Some(Farewell::Protocol));

    assert!(!world.fake.store.borrow().reports.contains_key(&job));
    others_are_served(&world).await;
    world.stop().await;
}

#[tokio::test]
async fn a_drain_reaches_agents_over_the_network() {
    let world = World::with(hasty()).await;
    let device = Device::enrolled(1, &world.fake);
    let mut agent = Agent::connect(world.dial_websocket().await, &device, &world.fake).await;
    let idle = world.dial_tcp().await;
    let address = world.address;
    let listening = tokio::spawn(async move { agent.farewell().await });
    world.stop().await;
    assert_eq!(listening.await.unwrap(), Some(Farewell::Draining));
    closed(idle).await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "nobody listens any more");
}
