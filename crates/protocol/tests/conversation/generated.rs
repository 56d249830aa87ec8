//! Schedules that nobody would write down.

use opencpm_domain::Span;
use opencpm_protocol::conversation::{
    AgentEvent, AgentStep, ServerConversation, ServerEvent, ServerStep,
};
use opencpm_protocol::key::SigningKey;
use opencpm_protocol::message::{Farewell, Hello, ToServer};
use opencpm_protocol::sign::Signed;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::parties::{Agent, HERE, Machine, NONCE, NOW, Server, enrolled, job, statement, welcome};

/// Something that may happen to a server, sensible or not.
#[derive(Clone, Debug)]
enum Move {
    Garbage(Vec<u8>),
    Damaged(Box<Move>, usize, u8),
    Hello { honest: bool, fresh: bool },
    Enrol { fresh: bool },
    Report { honest_key: bool, own_name: bool },
    SealingKey { honest: bool },
    Unknown,
    Recognised { honest: bool },
    Bound,
    Enrolled,
    Kept,
    Pong,
    Tick(u64),
    Dismiss,
}

fn a_message() -> impl Strategy<Value = Move> {
    prop_oneof![
        (any::<bool>(), any::<bool>()).prop_map(|(honest, fresh)| Move::Hello { honest, fresh }),
        any::<bool>().prop_map(|fresh| Move::Enrol { fresh }),
        (any::<bool>(), any::<bool>())
            .prop_map(|(honest_key, own_name)| Move::Report { honest_key, own_name }),
        any::<bool>().prop_map(|honest| Move::SealingKey { honest }),
    ]
}

fn a_move() -> impl Strategy<Value = Move> {
    prop_oneof![
        8 => a_message(),
        1 => (a_message(), any::<usize>(), 1u8..)
            .prop_map(|(message, at, flip)| Move::Damaged(Box::new(message), at, flip)),
        1 => vec(any::<u8>(), 0..64).prop_map(Move::Garbage),
        1 => Just(Move::Unknown),
        4 => any::<bool>().prop_map(|honest| Move::Recognised { honest }),
        4 => Just(Move::Bound),
        1 => Just(Move::Enrolled),
        1 => Just(Move::Kept),
        1 => Just(Move::Pong),
        1 => (0u64..30).prop_map(Move::Tick),
        1 => Just(Move::Dismiss),
    ]
}

/// The frame of a move that is one.
fn frame(what: &Move) -> Option<Vec<u8>> {
    let (honest, other) = (Machine::honest(), Machine::other());
    let nonce = |fresh: bool| if fresh { NONCE } else { [0; 32] };
    Some(match what {
        Move::Garbage(bytes) => bytes.clone(),
        Move::Damaged(message, at, flip) => {
            let mut bytes = frame(message)?;
            let at = at % bytes.len();
            bytes[at] ^= flip;
            bytes
        }
        // The dishonest one claims to be the honest device.
        Move::Hello { honest: true, fresh } => {
            ToServer::Hello(honest.hello(|h| h.nonce = nonce(*fresh))).encode()
        }
        Move::Hello { honest: false, fresh } => {
            let name = honest.instance;
            let pose = |h: &mut Hello| (h.nonce, h.instance) = (nonce(*fresh), name);
            ToServer::Hello(other.hello(pose)).encode()
        }
        Move::Enrol { fresh } => ToServer::Enrol(honest.enrol(nonce(*fresh))).encode(),
        Move::Report { honest_key, own_name } => {
            let name = if *own_name { &honest.instance } else { &other.instance }.clone();
            let machine = if *honest_key { &honest } else { &other };
            ToServer::Report(machine.report(|r| r.instance = name)).encode()
        }
        Move::SealingKey { honest: true } => ToServer::SealingKey(honest.certificate()).encode(),
        Move::SealingKey { honest: false } => ToServer::SealingKey(other.certificate()).encode(),
        Move::Unknown => vec![0x82, 0x18, 0x63, 0xa0],
        _ => return None,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 512, ..Default::default() })]

    /// Whatever comes in whatever order, twice, damaged or made up: the server does not panic, is
    /// live only after a hello that verified under the right key, and passes on nothing that the
    /// live device did not sign about itself.
    #[test]
    fn no_schedule_makes_the_server_believe_a_stranger(schedule in vec(a_move(), 0..24)) {
        let honest = Machine::honest();
        let mut server = Server::open();
        let (mut now, mut bound) = (NOW, false);
        for what in &schedule {
            let known = match what {
                Move::Recognised { honest: false } => Machine::other().recognised(),
                _ => honest.recognised(),
            };
            let bytes = frame(what);
            let event = match what {
                _ if bytes.is_some() => ServerEvent::Frame(bytes.as_deref().unwrap_or_default()),
                Move::Recognised { .. } => ServerEvent::Recognised(known.clone()),
                Move::Bound => ServerEvent::Bound(welcome()),
                Move::Kept => ServerEvent::ReportsKept(vec![job(1)]),
                Move::Pong => ServerEvent::Pong,
                Move::Tick(seconds) => {
                    now = now + Span::from_secs(*seconds);
                    ServerEvent::Tick
                }
                Move::Enrolled => ServerEvent::Enrolled(enrolled(&honest)),
                _ => ServerEvent::Dismiss(Farewell::Draining),
            };
            let closed = server.closed();
            server.did.clear();
            server.tell_at(event, now);
            prop_assert!(!closed || server.did.is_empty(), "something happened after the end");
            for step in &server.did {
                match step {
                    ServerStep::Bind(hello) => {
                        // It is bound as the answer to the lookup, whose key it was checked with.
                        let key = hello.sealing.read_unverified().unwrap().identity;
                        prop_assert_eq!(hello.nonce, NONCE);
                        prop_assert!(matches!(what, Move::Recognised { .. }), "bound without a lookup");
                        prop_assert_eq!(key, known.identity);
                        bound = true;
                    }
                    ServerStep::Report(report) => {
                        prop_assert!(bound);
                        let device = server.device().unwrap();
                        let by = report.verify(&honest.identity.public())
                            .or_else(|_| report.verify(&Machine::other().identity.public()))
                            .unwrap();
                        prop_assert_eq!(&by.instance, device);
                    }
                    ServerStep::Enrol { request, .. } => prop_assert_eq!(request.nonce, NONCE),
                    _ => {}
                }
            }
            prop_assert!(server.device().is_none() || bound, "live without a verified hello");
            if closed || server.closed() {
                prop_assert!(server.device().is_none());
                // Remember the end: the list of steps is cleared each round.
                server.did.push(ServerStep::Close(None));
            }
        }
    }

    /// Bytes from a hostile server, in any number and order: the agent does not panic, and asks
    /// for nothing to be signed before a statement verified.
    #[test]
    fn no_bytes_make_the_agent_answer_a_server_that_it_did_not_judge(
        frames in vec(vec(any::<u8>(), 0..64), 0..16),
        challenges in vec(any::<bool>(), 16),
    ) {
        let mut agent = Agent::open(None);
        let (_, opening) = ServerConversation::open(
            HERE,
            Signed::sign(&statement(1, HERE), &SigningKey::from_bytes(&[7; 32])),
            NONCE,
            NOW,
        );
        for (bytes, challenge) in frames.iter().zip(challenges) {
            let genuine = opening.iter().filter_map(|step| match step {
                ServerStep::Send(frame) => Some(frame),
                _ => None,
            });
            for frame in genuine.filter(|_| challenge).chain([bytes]) {
                agent.tell(AgentEvent::Frame(frame));
            }
            agent.tell(AgentEvent::Trusted);
        }
        prop_assert!(!agent.is_live());
        let asked = agent.did.iter().any(|step| {
            matches!(step, AgentStep::Answer(_) | AgentStep::Judge { .. } | AgentStep::Send(_))
        });
        prop_assert!(!asked);
    }
}
