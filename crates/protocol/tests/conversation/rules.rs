//! What each side can rely on.

use opencpm_domain::{DeploymentId, Generation, Span};
use opencpm_protocol::conversation::{
    AgentEvent, AgentStep, HANDSHAKE_LIMIT, NodeConversation, NodeEvent, NodeStep, PING_INTERVAL,
    Pinned, SILENCE_LIMIT, ServerEvent, ServerStep,
};
use opencpm_protocol::key::SigningKey;
use opencpm_protocol::message::{Farewell, MAX_FRAME, PROTOCOL_VERSION, ToAgent, ToServer};
use opencpm_protocol::node::{CertificateRequest, Certified, Certify, TlsPublic};
use opencpm_protocol::sign::Signed;

use crate::parties::{Agent, HERE, Machine, NONCE, NOW, Server, job, root, statement, talk};

#[test]
fn a_device_says_hello_and_its_report_is_acknowledged() {
    let (machine, mut server, mut agent) = (Machine::honest(), Server::open(), Agent::open(None));
    talk(&mut server, &mut agent, &machine);
    assert!(agent.is_live());
    assert_eq!(server.device(), Some(&machine.instance));
    (server.did, agent.did) = (Vec::new(), Vec::new());
    agent.tell(AgentEvent::Report(Box::new(machine.report(|_| {}))));
    talk(&mut server, &mut agent, &machine);
    let kept = |step: &AgentStep| matches!(step, AgentStep::ReportsKept(jobs) if jobs == &[job(1)]);
    assert!(agent.did.iter().any(kept), "{:?}", agent.did);
}

#[test]
fn a_machine_enrols_and_the_connection_ends() {
    let (machine, mut server) = (Machine::honest(), Server::open());
    server.frame(&ToServer::Enrol(machine.enrol(NONCE)).encode());
    assert!(server.did(|step| matches!(step, ServerStep::Enrol { .. })));
    let mut stale = Server::open();
    stale.frame(&ToServer::Enrol(machine.enrol([0; 32])).encode());
    assert!(stale.closed() && !stale.did(|step| matches!(step, ServerStep::Enrol { .. })));
}

fn request(nonce: [u8; 32], key: &SigningKey) -> Certify {
    let request = CertificateRequest {
        nonce,
        deployment: HERE,
        node: SigningKey::from_bytes(&[6; 32]).public(),
        tls: TlsPublic([4; 65]),
        hostname: String::new(),
        version: PROTOCOL_VERSION,
    };
    Certify { secret: Some([8; 32].into()), request: Signed::sign(&request, key) }
}

#[test]
fn a_node_is_certified_and_says_nothing_before_the_server_was_judged() {
    let key = SigningKey::from_bytes(&[6; 32]);
    let pinned = Pinned { root: root().public(), deployment: HERE, generation: None };
    let (mut node, mut server) = (NodeConversation::open(pinned, NOW), Server::open());
    let mut at = 0;
    while let Some(step) = server.did.get(at) {
        at += 1;
        let frame = match step {
            ServerStep::Send(frame) => frame.clone(),
            ServerStep::Certify { .. } => {
                let (chain, addresses) = (Vec::new(), Vec::new());
                let certified = Certified { chain, renew: NOW, addresses };
                server.tell(ServerEvent::Certified(Box::new(certified)));
                continue;
            }
            _ => continue,
        };
        let early = NodeEvent::Certify(Box::new(request(NONCE, &key)));
        let (before, nothing) = node.handle(early, NOW);
        assert!(nothing.is_none(), "{nothing:?}");
        let (next, step) = before.handle(NodeEvent::Frame(&frame), NOW);
        node = match step {
            Some(NodeStep::Judge(_)) => next.handle(NodeEvent::Trusted, NOW).0,
            Some(NodeStep::Answer(challenge)) => {
                let request = request(challenge.nonce, &key);
                let (next, step) = next.handle(NodeEvent::Certify(Box::new(request)), NOW);
                let Some(NodeStep::Send(frame)) = step else { panic!("{step:?}") };
                server.frame(&frame);
                next
            }
            Some(NodeStep::Certified(_)) => return assert!(server.closed()),
            other => panic!("{other:?}"),
        };
    }
    panic!("no certificate");
}

#[test]
fn a_nodes_request_that_is_replayed_or_signed_by_another_key_is_not_looked_at() {
    let [own, other] = [6, 7].map(|seed| SigningKey::from_bytes(&[seed; 32]));
    for wrong in [request([0; 32], &own), request(NONCE, &other)] {
        let mut server = Server::open();
        server.frame(&ToServer::Certify(wrong).encode());
        assert_eq!(server.farewell(), Some(Farewell::Protocol));
        assert!(!server.did(|step| matches!(step, ServerStep::Certify { .. })));
    }
}

#[test]
fn a_node_that_waits_in_vain_goes_elsewhere() {
    let pinned = Pinned { root: root().public(), deployment: HERE, generation: None };
    let node = NodeConversation::open(pinned, NOW);
    let due = node.due();
    assert_eq!(due, NOW + HANDSHAKE_LIMIT);
    let (_, step) = node.handle(NodeEvent::Tick, due);
    assert!(matches!(step, Some(NodeStep::Close(_))), "{step:?}");
}

#[test]
fn nothing_of_the_agent_goes_out_before_the_server_was_judged() {
    let mut agent = Agent::open(None);
    let signed = Signed::sign(&statement(1, HERE), &root());
    agent.tell(AgentEvent::Frame(&ToAgent::Statement(signed).encode()));
    agent.tell(AgentEvent::Hello(Box::new(Machine::honest().hello(|_| {}))));
    agent.tell(AgentEvent::Report(Box::new(Machine::honest().report(|_| {}))));
    assert!(!agent.did.iter().any(|step| matches!(step, AgentStep::Send(_))));
}

#[test]
fn an_agent_takes_no_older_no_foreign_and_no_forged_statement() {
    let forged = Signed::sign(&statement(9, HERE), &SigningKey::from_bytes(&[7; 32]));
    let foreign = Signed::sign(&statement(9, DeploymentId::from_bytes([6; 16])), &root());
    let older = Signed::sign(&statement(4, HERE), &root());
    for refused in [forged, foreign, older] {
        let mut agent = Agent::open(Some(5));
        agent.tell(AgentEvent::Frame(&ToAgent::Statement(refused).encode()));
        assert!(agent.breach().is_some());
    }
    let mut agent = Agent::open(Some(5));
    let same = Signed::sign(&statement(5, HERE), &root());
    agent.tell(AgentEvent::Frame(&ToAgent::Statement(same).encode()));
    assert!(matches!(agent.did[..], [AgentStep::Judge { .. }]), "{:?}", agent.did);
}

#[test]
fn a_hello_that_is_replayed_or_for_another_installation_is_not_even_looked_up() {
    let machine = Machine::honest();
    let replayed = machine.hello(|hello| hello.nonce = [0; 32]);
    let foreign = machine.hello(|hello| hello.deployment = DeploymentId::from_bytes([6; 16]));
    for refused in [replayed, foreign] {
        let mut server = Server::open();
        server.frame(&ToServer::Hello(refused).encode());
        assert!(server.closed() && !server.did(|s| matches!(s, ServerStep::Recognise(_))));
    }
}

#[test]
fn a_hello_that_does_not_verify_is_told_that_it_is_not_recognised() {
    let (machine, other) = (Machine::honest(), Machine::other());
    let mut forged = Machine::other();
    forged.instance = machine.instance.clone();
    let former = machine.hello(|hello| hello.identity_generation = Generation::FIRST.next());
    let borrowed = machine.hello(|hello| hello.sealing = other.certificate());
    for refused in [forged.hello(|_| {}), former, borrowed] {
        let mut server = Server::open();
        server.frame(&ToServer::Hello(refused).encode());
        server.tell(ServerEvent::Recognised(machine.recognised()));
        assert_eq!(server.farewell(), Some(Farewell::NotRecognised));
        assert!(server.closed() && !server.did(|s| matches!(s, ServerStep::Bind(_))));
    }
}

#[test]
fn a_peer_that_dawdles_breaks_the_protocol_and_a_slow_store_does_not() {
    let mut server = Server::open();
    assert_eq!(server.due(), NOW + HANDSHAKE_LIMIT);
    server.tell_at(ServerEvent::Tick, NOW + HANDSHAKE_LIMIT);
    assert_eq!(server.farewell(), Some(Farewell::Protocol));
    let mut server = Server::open();
    server.frame(&ToServer::Hello(Machine::honest().hello(|_| {})).encode());
    server.tell_at(ServerEvent::Tick, NOW + HANDSHAKE_LIMIT);
    assert_eq!(server.farewell(), Some(Farewell::Unavailable));
    assert!(server.closed());
}

#[test]
fn a_live_peer_is_pinged_and_closed_when_it_stays_silent() {
    let mut server = Server::live(&Machine::honest());
    let mut now = NOW;
    let mut pings = 0;
    while !server.closed() {
        assert!(server.due() > now, "time goes on");
        now = server.due();
        server.tell_at(ServerEvent::Tick, now);
        pings += server.did.drain(..).filter(|s| matches!(s, ServerStep::Ping)).count();
        if now >= NOW + SILENCE_LIMIT {
            break;
        }
    }
    assert_eq!(now, NOW + SILENCE_LIMIT);
    assert!((2..=3).contains(&pings), "{pings}");
    assert!(server.device().is_none());
}

#[test]
fn a_peer_that_answers_pings_stays() {
    let mut server = Server::live(&Machine::honest());
    for _ in 0..100 {
        let now = server.due();
        server.tell_at(ServerEvent::Tick, now);
        server.tell_at(ServerEvent::Pong, now + Span::from_secs(1));
    }
    assert!(server.due() > NOW + Span::from_micros(99 * PING_INTERVAL.as_micros()));
    assert!(server.device().is_some());
}

#[test]
fn messages_of_a_newer_version_are_passed_over() {
    let unknown = [0x82, 0x18, 0x63, 0xa0];
    let mut server = Server::live(&Machine::honest());
    server.frame(&unknown);
    assert!(server.did.is_empty() && server.device().is_some());
    let mut agent = Agent::open(None);
    agent.tell(AgentEvent::Frame(&unknown));
    assert!(agent.did.is_empty());
}

#[test]
fn a_frame_over_the_limit_ends_the_conversation() {
    let mut server = Server::open();
    server.frame(&vec![0x82; MAX_FRAME + 1]);
    assert!(server.closed());
}

#[test]
fn a_report_about_another_device_installation_or_by_another_key_is_a_breach() {
    let (machine, other) = (Machine::honest(), Machine::other());
    let elsewhere = machine.report(|r| r.deployment = DeploymentId::from_bytes([6; 16]));
    let stolen = other.report(|_| {});
    let posing = machine.report(|r| r.instance = other.instance.clone());
    let forged = other.report(|r| r.instance = machine.instance.clone());
    for refused in [elsewhere, stolen, posing, forged] {
        let mut server = Server::live(&machine);
        server.frame(&ToServer::Report(refused).encode());
        assert!(server.closed() && !server.did(|s| matches!(s, ServerStep::Report(_))));
    }
}

#[test]
fn after_the_end_nothing_happens_any_more() {
    let machine = Machine::honest();
    let mut server = Server::live(&machine);
    server.tell(ServerEvent::Dismiss(Farewell::Draining));
    assert_eq!(server.farewell(), Some(Farewell::Draining));
    let did = server.did.len();
    server.frame(&ToServer::Report(machine.report(|_| {})).encode());
    server.tell(ServerEvent::ReportsKept(vec![job(1)]));
    server.tell(ServerEvent::Tick);
    assert_eq!(server.did.len(), did);
}
