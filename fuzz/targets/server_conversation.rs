//! The gateway's side of the conversation, under any frames and events in any order: it is live
//! only after a hello that verified under the key that was looked up, passes on nothing that the
//! live device did not sign about itself, and does nothing after its end.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::arbitrary::{Result, Unstructured};
use opencpm_domain::{Generation, JobId, Span};
use opencpm_fuzz::{
    HERE, NONCE, NOW, ROOT, account, certificate, enrol, hello, identity, instance, report,
    statement, welcome,
};
use opencpm_protocol::conversation::{Recognised, ServerConversation, ServerEvent, ServerStep};
use opencpm_protocol::message::{Enrolled, Farewell, ToAgent, ToServer};
use opencpm_protocol::sign::Signed;
use opencpm_protocol::statement::TrustStatement;

static STATEMENT: LazyLock<Signed<TrustStatement>> =
    LazyLock::new(|| Signed::sign(&statement(1, HERE), &ROOT));

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut script = Unstructured::new(bytes);
    let statement = STATEMENT.clone();
    let (mut server, opening) = ServerConversation::open(HERE, statement, NONCE, NOW);
    assert!(opening.iter().all(|step| matches!(step, ServerStep::Send(_))));
    let (mut now, mut bound, mut closed) = (NOW, false, false);
    while !script.is_empty() {
        let Ok((frame, event)) = next(&mut script) else { break };
        if let Move::Wait(seconds) = event {
            now = now + Span::from_secs(u64::from(seconds));
        }
        let asked = matches!(event, Move::Recognised(_));
        let key = identity(!matches!(event, Move::Recognised(false))).public();
        let steps;
        (server, steps) = server.handle(event.of(frame.as_deref()), now);
        assert!(!closed || steps.is_empty(), "something happened after the end");
        for step in steps {
            match step {
                ServerStep::Send(frame) => {
                    assert!(ToAgent::decode(&frame).is_ok_and(|message| message.is_some()));
                }
                ServerStep::Bind(hello) => {
                    let sealing = hello.sealing.verify(&key).expect("certified by that key");
                    assert!(asked && hello.nonce == NONCE && sealing.identity == key);
                    bound = true;
                }
                ServerStep::Report(report) => {
                    let by = [true, false].map(|honest| report.verify(&identity(honest).public()));
                    let by = by.into_iter().find_map(|read| read.ok()).expect("signed");
                    assert!(bound && server.device() == Some(&by.instance));
                }
                ServerStep::SealingKey(_) => assert!(bound && server.device().is_some()),
                ServerStep::Enrol { request, .. } => assert_eq!(request.nonce, NONCE),
                ServerStep::Certify { request, .. } => assert_eq!(request.nonce, NONCE),
                ServerStep::Close(_) => closed = true,
                ServerStep::Ping | ServerStep::Recognise(_) => {}
            }
        }
        assert!(server.device().is_none() || (bound && !closed));
    }
});

/// Something that may happen to a server, sensible or not.
enum Move {
    Frame,
    Recognised(bool),
    Bound,
    Enrolled,
    Kept,
    SealingKeyKept,
    Pong,
    Wait(u8),
    Dismiss,
}

impl Move {
    fn of(self, frame: Option<&[u8]>) -> ServerEvent<'_> {
        match self {
            Self::Frame => ServerEvent::Frame(frame.unwrap_or_default()),
            Self::Recognised(honest) => ServerEvent::Recognised(Recognised {
                identity: identity(honest).public(),
                generation: Generation::FIRST,
            }),
            Self::Bound => ServerEvent::Bound(welcome()),
            Self::Enrolled => ServerEvent::Enrolled(Enrolled {
                instance: instance(true),
                account: account(),
                identity_generation: Generation::FIRST,
                gateways: Vec::new(),
            }),
            Self::Kept => ServerEvent::ReportsKept(vec![JobId::from_bytes([1; 16])]),
            Self::SealingKeyKept => ServerEvent::SealingKeyKept(Generation::FIRST),
            Self::Pong => ServerEvent::Pong,
            Self::Wait(_) => ServerEvent::Tick,
            Self::Dismiss => ServerEvent::Dismiss(Farewell::Draining),
        }
    }
}

/// What the device and a stranger may say: signing it anew each time would take most of the time.
static MESSAGES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let both = [true, false];
    let hello = both.into_iter().flat_map(|honest| {
        let signed = |nonce| Signed::sign(&hello(honest, nonce), identity(honest));
        [NONCE, [0; 32]].map(|nonce| ToServer::Hello(signed(nonce)))
    });
    let report = both.into_iter().flat_map(|honest| {
        let signed = |own_name| Signed::sign(&report(own_name), identity(honest));
        both.map(|own_name| ToServer::Report(signed(own_name)))
    });
    let enrol = [NONCE, [0; 32]].map(|nonce| ToServer::Enrol(enrol(nonce)));
    let key = both.map(|honest| ToServer::SealingKey(certificate(honest)));
    hello.chain(report).chain(enrol).chain(key).map(|message| message.encode()).collect()
});

/// The next move of the script, and its frame.
fn next(script: &mut Unstructured<'_>) -> Result<(Option<Vec<u8>>, Move)> {
    Ok(match script.int_in_range(0..=15)? {
        0 => (Some(script.arbitrary()?), Move::Frame),
        1 => (None, Move::Recognised(script.arbitrary()?)),
        2 => (None, Move::Bound),
        3 => (None, Move::Enrolled),
        4 => (None, Move::Kept),
        5 => (None, Move::SealingKeyKept),
        6 => (None, Move::Pong),
        7 => (None, Move::Wait(script.arbitrary()?)),
        8 => (None, Move::Dismiss),
        9 => {
            let mut frame = script.choose(&MESSAGES)?.clone();
            let place = script.choose_index(frame.len())?;
            frame[place] ^= script.arbitrary::<u8>()?;
            (Some(frame), Move::Frame)
        }
        _ => (Some(script.choose(&MESSAGES)?.clone()), Move::Frame),
    })
}
