//! What agents and operators rely on, over connections without sockets. Time stands still unless
//! everybody waits for it.

mod support;

use std::collections::HashSet;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use opencpm_domain::Generation;
use opencpm_gateway::Config;
use opencpm_protocol::conversation::{AgentEvent, AgentStep};
use opencpm_protocol::message::{Farewell, PROTOCOL_VERSION, ToAgent, ToServer};
use opencpm_protocol::node::{CertificateRequest, Certify, TlsPublic};
use opencpm_protocol::sign::Signed;
use support::agent::{Agent, Device};
use support::fake::Fake;
use support::{World, soon};
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;

#[tokio::test(start_paused = true)]
async fn a_job_that_was_waiting_goes_out_when_its_device_connects() {
    let world = World::start().await;
    let device = Device::enrolled(1, &world.fake);
    let job = world.fake.add_job(&device);
    assert_eq!(world.connect(&device).await.job().await, job);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_published_job_goes_out_and_its_report_is_acknowledged_after_the_commit() {
    let world = World::start().await;
    let device = Device::enrolled(1, &world.fake);
    let mut agent = world.connect(&device).await;
    let job = world.fake.publish_job(&device).await;
    assert_eq!(agent.job().await, job);
    assert_eq!(world.fake.store.borrow().jobs[&job].attempts, 1, "committed before it left");
    let report = device.report(job, world.fake.deployment);
    agent.say(AgentEvent::Report(Box::new(report))).await;
    assert_eq!(agent.kept().await, [job]);
    assert!(world.fake.store.borrow().reports.contains_key(&job));
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_job_that_the_queue_lost_is_found_by_the_sweep_and_delivered_again() {
    let world = World::start().await;
    let device = Device::enrolled(1, &world.fake);
    let mut agent = world.connect(&device).await;
    let job = world.fake.add_job(&device);
    assert_eq!(agent.job().await, job);
    assert_eq!(agent.job().await, job, "no report came");
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_report_waits_for_the_store_and_is_acknowledged_only_then() {
    let mut fake = Fake::new();
    fake.lease = Duration::from_secs(1_000);
    let world = World::over(fake, Config::default()).await;
    let device = Device::enrolled(1, &world.fake);
    let mut agent = world.connect(&device).await;
    let job = world.fake.publish_job(&device).await;
    assert_eq!(agent.job().await, job);
    world.fake.set(|store| store.down = true);
    let report = device.report(job, world.fake.deployment);
    agent.say(AgentEvent::Report(Box::new(report))).await;
    let tried = |store: &support::fake::Store| {
        store.calls.iter().filter(|call| call.0 == "record_reports").count() > 3
    };
    world.fake.until(tried).await;
    assert!(world.fake.store.borrow().reports.is_empty());
    world.fake.set(|store| store.down = false);
    assert_eq!(agent.kept().await, [job]);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_new_sealing_key_is_recorded_and_acknowledged() {
    let world = World::start().await;
    let device = Device::enrolled(1, &world.fake);
    let mut agent = world.connect(&device).await;
    agent.say(AgentEvent::SealingKey(Box::new(device.certificate(2)))).await;
    let step = agent.next().await;
    assert!(matches!(step, Some(AgentStep::SealingKeyKept(g)) if g.get() == 2), "{step:?}");
    let second = Generation::new(2).unwrap();
    assert_eq!(world.fake.store.borrow().sealing[&device.instance], second);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_newer_connection_of_a_device_replaces_the_older() {
    let world = World::start().await;
    let device = Device::enrolled(1, &world.fake);
    let mut older = world.connect(&device).await;
    let mut newer = world.connect(&device).await;
    assert_eq!(older.farewell().await, Some(Farewell::Replaced));
    assert!(older.next().await.is_none());
    drop(older);
    let job = world.fake.publish_job(&device).await;
    assert_eq!(newer.job().await, job, "the older one's end did not unbind the newer one");
    assert_eq!(world.gateway.connected(), 1);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_device_that_goes_away_is_unbound_also_while_the_store_is_down_for_a_while() {
    let world = World::start().await;
    let device = Device::enrolled(1, &world.fake);
    let agent = world.connect(&device).await;
    world.fake.set(|store| store.down = true);
    drop(agent);
    world.fake.until(|store| store.calls.iter().any(|call| call.0 == "unbind")).await;
    world.fake.set(|store| store.down = false);
    world.fake.until(|store| store.bindings.is_empty()).await;
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_store_that_cannot_bind_sends_the_agent_away_for_later() {
    let world = World::start().await;
    let device = Device::enrolled(1, &world.fake);
    let mut agent = Agent::open(world.dial(16), &world.fake);
    let challenge = agent.challenge().await;
    world.fake.set(|store| store.down = true);
    let hello = device.hello(challenge.nonce, world.fake.deployment);
    agent.say(AgentEvent::Hello(Box::new(hello))).await;
    assert_eq!(agent.farewell().await, Some(Farewell::Unavailable));
    world.fake.set(|store| store.down = false);
    world.connect(&device).await;
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_stranger_is_told_that_it_is_not_recognised() {
    let world = World::start().await;
    let device = Device::new(1);
    let mut agent = Agent::open(world.dial(16), &world.fake);
    let challenge = agent.challenge().await;
    let hello = device.hello(challenge.nonce, world.fake.deployment);
    agent.say(AgentEvent::Hello(Box::new(hello))).await;
    assert_eq!(agent.farewell().await, Some(Farewell::NotRecognised));
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_machine_enrols_and_then_connects_as_a_device() {
    let world = World::start().await;
    let mut machine = Device::new(1);
    for (secret, accepted) in [([8; 32], false), (*world.fake.token.secret(), true)] {
        let mut agent = Agent::open(world.dial(16), &world.fake);
        let challenge = agent.challenge().await;
        let enrol = machine.enrol(secret, challenge.nonce, world.fake.deployment);
        agent.say(AgentEvent::Enrol(Box::new(enrol))).await;
        match agent.next().await {
            Some(AgentStep::Enrolled(enrolled)) if accepted => machine.instance = enrolled.instance,
            Some(AgentStep::Goodbye(goodbye)) if !accepted => {
                assert_eq!(Farewell::from_number(goodbye.why), Some(Farewell::TokenRefused));
            }
            other => panic!("{other:?}"),
        }
    }
    world.connect(&machine).await;
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_node_gets_its_certificate_on_the_agents_listener() {
    let world = World::start().await;
    for (secret, accepted) in [([8; 32], false), (*world.fake.token.secret(), true)] {
        let mut node = Agent::open(world.dial(16), &world.fake);
        let challenge = node.challenge().await;
        let key = Device::new(1).identity;
        let request = CertificateRequest {
            nonce: challenge.nonce,
            deployment: world.fake.deployment,
            node: key.public(),
            tls: TlsPublic([4; 65]),
            hostname: String::new(),
            version: PROTOCOL_VERSION,
        };
        let secret = Some(secret.into());
        let certify = Certify { secret, request: Signed::sign(&request, &key) };
        let frame = ToServer::Certify(certify).encode();
        node.transport.send(Message::Binary(frame.into())).await.unwrap();
        let answer = loop {
            if let Message::Binary(frame) = node.transport.next().await.unwrap().unwrap() {
                break ToAgent::decode(&frame).unwrap();
            }
        };
        assert_eq!(matches!(answer, Some(ToAgent::Certified(_))), accepted, "{answer:?}");
    }
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_gateway_says_whether_it_holds_a_lease_and_when_it_has_ended() {
    let world = World::start().await;
    assert!(!world.connector.holds_lease(), "it has not asked for one yet");
    let mut agent = world.connect(&Device::enrolled(1, &world.fake)).await;
    assert!(world.connector.holds_lease());
    world.fake.set(|store| (store.no_leases, store.leases) = (true, HashSet::new()));
    assert_eq!(agent.farewell().await, Some(Farewell::Unavailable));
    assert!(!world.connector.holds_lease());
    world.fake.set(|store| store.no_leases = false);
    drop(world.connect(&Device::enrolled(2, &world.fake)).await);
    assert!(world.connector.holds_lease());
    world.shutdown.cancel();
    soon(world.gateway.ended()).await;
    assert!(!world.connector.holds_lease());
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_drain_says_goodbye_keeps_the_last_reports_and_leaves_nobody_alive() {
    let world = World::start().await;
    let mut agents = JoinSet::new();
    let count = 100;
    // What is still on its way when the farewell comes, an agent says again elsewhere.
    let all_said = std::sync::Arc::new(tokio::sync::Barrier::new(usize::from(count) + 1));
    for number in 0..count {
        let device = Device::enrolled(number, &world.fake);
        let mut agent = world.connect(&device).await;
        let (fake, said) = (std::sync::Arc::clone(&world.fake), std::sync::Arc::clone(&all_said));
        agents.spawn(async move {
            let job = fake.add_job(&device);
            let report = device.report(job, fake.deployment);
            agent.say(AgentEvent::Report(Box::new(report))).await;
            said.wait().await;
            loop {
                match agent.next().await {
                    Some(AgentStep::Goodbye(g)) => return Farewell::from_number(g.why),
                    Some(_) => {}
                    None => return None,
                }
            }
        });
    }
    assert_eq!(world.gateway.connected(), usize::from(count));
    all_said.wait().await;
    let began = tokio::time::Instant::now();
    let fake = soon(world.stop()).await;
    let Config { hand_over, drain, .. } = Config::default();
    assert!(began.elapsed() < hand_over + drain * 4);
    for farewell in agents.join_all().await {
        assert_eq!(farewell, Some(Farewell::Draining));
    }
    let store = fake.store.borrow();
    assert!(store.leases.is_empty());
    assert_eq!(store.reports.len(), usize::from(count));
}

#[tokio::test(start_paused = true)]
async fn a_silent_device_is_closed_and_one_that_answers_pings_stays() {
    let world = World::start().await;
    let (silent, awake) = (Device::enrolled(1, &world.fake), Device::enrolled(2, &world.fake));
    let _silent = world.connect(&silent).await;
    let mut agent = world.connect(&awake).await;
    let listening = tokio::spawn(async move {
        use futures_util::StreamExt;
        while agent.transport.next().await.is_some() {}
    });
    let only_awake = |store: &support::fake::Store| !store.bindings.contains_key(&silent.instance);
    let gone = world.fake.store.subscribe();
    tokio::time::timeout(Duration::from_secs(120), { gone }.wait_for(only_awake))
        .await
        .expect("in time")
        .unwrap();
    let an_hour = tokio::time::timeout(Duration::from_secs(3_600), listening).await;
    assert!(an_hour.is_err(), "the one that answers was closed");
    assert_eq!(world.gateway.connected(), 1);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_device_that_does_not_read_is_closed_and_holds_up_nobody() {
    let world = World::start().await;
    let (deaf, good) = (Device::enrolled(1, &world.fake), Device::enrolled(2, &world.fake));
    let _deaf = Agent::connect(world.dial(2), &deaf, &world.fake).await;
    let mut agent = world.connect(&good).await;
    for _ in 0..64 {
        world.fake.publish_job(&deaf).await;
    }
    let job = world.fake.publish_job(&good).await;
    assert_eq!(agent.job().await, job);
    world.fake.until(|store| !store.bindings.contains_key(&deaf.instance)).await;
    assert_eq!(world.gateway.connected(), 1);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn devices_that_connect_together_share_the_stores_calls() {
    let world = World::start().await;
    let count = 200;
    let mut agents = JoinSet::new();
    for number in 0..count {
        let device = Device::enrolled(number, &world.fake);
        let (pipe, fake) = (world.dial(16), std::sync::Arc::clone(&world.fake));
        agents.spawn(async move { Agent::connect(pipe, &device, &fake).await });
    }
    let agents = agents.join_all().await;
    for name in ["recognise", "bind"] {
        let calls = world.fake.calls(name);
        assert_eq!(calls.iter().sum::<usize>(), usize::from(count));
        assert!(calls.len() <= 20, "{name}: {calls:?}");
    }
    drop(agents);
    world.fake.until(|store| store.bindings.is_empty()).await;
    assert!(world.fake.calls("unbind").len() <= 20);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_device_whose_row_cannot_be_read_keeps_nobody_else_out() {
    let world = World::start().await;
    let spoilt = Device::enrolled(200, &world.fake);
    world.fake.set(|store| store.spoilt.extend([spoilt.instance.clone()]));
    let mut agents = JoinSet::new();
    for number in 0..50 {
        let device = Device::enrolled(number, &world.fake);
        let (pipe, fake) = (world.dial(16), std::sync::Arc::clone(&world.fake));
        agents.spawn(async move { Agent::connect(pipe, &device, &fake).await });
    }
    let mut agent = Agent::open(world.dial(16), &world.fake);
    let challenge = agent.challenge().await;
    let hello = spoilt.hello(challenge.nonce, world.fake.deployment);
    agent.say(AgentEvent::Hello(Box::new(hello))).await;
    assert_eq!(agent.farewell().await, Some(Farewell::Unavailable));
    assert_eq!(agents.join_all().await.len(), 50);
    assert_eq!(world.gateway.connected(), 50);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_unfinished_handshake_is_closed_after_ten_seconds_and_makes_room() {
    let handshakes = std::num::NonZeroUsize::MIN;
    let world = World::with(Config { handshakes, ..Config::default() }).await;
    let device = Device::enrolled(1, &world.fake);
    let mut idle = Agent::open(world.dial(16), &world.fake);
    idle.challenge().await;
    // Served once the idle one was closed.
    let began = tokio::time::Instant::now();
    world.connect(&device).await;
    let waited = began.elapsed();
    assert!((9..13).contains(&waited.as_secs()), "{waited:?}");
    assert_eq!(idle.farewell().await, Some(Farewell::Protocol));
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_report_of_another_device_ends_the_session_and_is_not_recorded() {
    let world = World::start().await;
    let (one, two) = (Device::enrolled(1, &world.fake), Device::enrolled(2, &world.fake));
    let job = world.fake.add_job(&two);
    let mut agent = world.connect(&one).await;
    // Signed by the session's own key, about the other device.
    let mut thief = one.clone();
    thief.instance = two.instance.clone();
    let forged = thief.report(job, world.fake.deployment);
    agent.send_raw(ToServer::Report(forged).encode()).await;
    assert_eq!(agent.farewell().await, Some(Farewell::Protocol));
    // Signed by the other device, replayed here.
    let mut agent = world.connect(&one).await;
    let stolen = two.report(job, world.fake.deployment);
    agent.send_raw(ToServer::Report(stolen).encode()).await;
    assert_eq!(agent.farewell().await, Some(Farewell::Protocol));
    assert!(world.stop().await.store.borrow().reports.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_replayed_hello_or_one_signed_by_another_key_binds_nothing() {
    let world = World::start().await;
    let device = Device::enrolled(1, &world.fake);
    let mut agent = Agent::open(world.dial(16), &world.fake);
    let recorded = device.hello(agent.challenge().await.nonce, world.fake.deployment);
    let mut other = Agent::open(world.dial(16), &world.fake);
    let nonce = other.challenge().await.nonce;
    other.say(AgentEvent::Hello(Box::new(recorded))).await;
    assert_eq!(other.farewell().await, Some(Farewell::Protocol));

    let mut forger = Device::new(2);
    forger.instance = device.instance.clone();
    assert_ne!(nonce, [0; 32]);
    let mut forged = Agent::open(world.dial(16), &world.fake);
    let hello = forger.hello(forged.challenge().await.nonce, world.fake.deployment);
    forged.say(AgentEvent::Hello(Box::new(hello))).await;
    assert_eq!(forged.farewell().await, Some(Farewell::NotRecognised));
    assert!(world.stop().await.calls("bind").is_empty());
}
