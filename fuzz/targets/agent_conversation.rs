//! The agent's side of the conversation, under any frames and events in any order: it answers
//! nobody whose statement did not verify under the pinned root key and whose chain was not
//! judged, takes no older statement, hears jobs only when live, and does nothing after its end.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::arbitrary::{Result, Unstructured};
use opencpm_domain::{DeploymentId, Generation, JobId, Sequence, Span};
use opencpm_fuzz::{
    HERE, NONCE, NOW, ROOT, account, authority, certificate, context, enrol, generation, hello,
    identity, instance, report, statement, welcome,
};
use opencpm_protocol::conversation::{AgentConversation, AgentEvent, AgentStep, Pinned};
use opencpm_protocol::message::{
    Challenge, Enrol, Enrolled, Goodbye, Hello, JobFrame, KeptJob, PROTOCOL_VERSION, ReportsKept,
    SealingKeyKept, ToAgent, ToServer,
};
use opencpm_protocol::report::{Report, SealingCertificate};
use opencpm_protocol::seal::SealedJob;
use opencpm_protocol::sign::Signed;

/// The statement that the agent holds already.
const HELD: u32 = 5;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut script = Unstructured::new(bytes);
    let held = generation(HELD);
    let pinned = Pinned { root: ROOT.public(), deployment: HERE, generation: Some(held) };
    let mut agent = AgentConversation::open(pinned, NOW);
    let (mut now, mut closed) = (NOW, false);
    let (mut judged, mut trusted, mut welcomed) = (false, false, false);
    while !script.is_empty() {
        let Ok(what) = next(&mut script) else { break };
        if let Move::Wait(seconds) = what {
            now = now + Span::from_secs(u64::from(seconds));
        }
        // The chain is judged by the statement, so being told so before does not count.
        trusted |= judged && matches!(what, Move::Trusted);
        let from_inside = matches!(what, Move::Hello | Move::Enrol | Move::Report | Move::Key);
        let steps;
        (agent, steps) = agent.handle(what.event(), now);
        assert!(!closed || steps.is_empty(), "something happened after the end");
        for step in steps {
            match step {
                AgentStep::Judge { signed, statement } => {
                    let read = signed.verify(&ROOT.public()).expect("signed by the root key");
                    assert!(read == *statement && read.deployment == HERE);
                    assert!(read.generation >= held && !judged);
                    judged = true;
                }
                AgentStep::Send(frame) => {
                    assert!(trusted && from_inside);
                    assert!(ToServer::decode(&frame).is_ok_and(|message| message.is_some()));
                }
                AgentStep::Answer(_) => assert!(trusted),
                AgentStep::Welcome(_) => {
                    assert!(trusted && !welcomed);
                    welcomed = true;
                }
                AgentStep::Job(_)
                | AgentStep::ReportsKept(_)
                | AgentStep::SealingKeyKept(_)
                | AgentStep::Move => {
                    assert!(agent.is_live());
                }
                AgentStep::Enrolled(_) => {
                    assert!(trusted && !agent.is_live());
                    closed = true;
                }
                AgentStep::Goodbye(_) => {
                    assert!(judged);
                    closed = true;
                }
                AgentStep::Close(_) => closed = true,
            }
        }
        assert!(!agent.is_live() || (welcomed && !closed));
    }
});

/// Something that may happen to an agent, sensible or not.
enum Move {
    Frame(Vec<u8>),
    Ping,
    Trusted,
    Hello,
    Enrol,
    Report,
    Key,
    Wait(u8),
}

impl Move {
    fn event(&self) -> AgentEvent<'_> {
        match self {
            Self::Frame(frame) => AgentEvent::Frame(frame),
            Self::Ping => AgentEvent::Ping,
            Self::Trusted => AgentEvent::Trusted,
            Self::Hello => AgentEvent::Hello(Box::new(HELLO.clone())),
            Self::Enrol => AgentEvent::Enrol(Box::new(ENROL.clone())),
            Self::Report => AgentEvent::Report(Box::new(REPORT.clone())),
            Self::Key => AgentEvent::SealingKey(Box::new(KEY.clone())),
            Self::Wait(_) => AgentEvent::Tick,
        }
    }
}

/// What a server, honest or not, may say: statements by the root key or another, older or newer,
/// of this installation or another, and everything else. Signing it anew each time would take
/// most of the time.
static MESSAGES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let elsewhere = DeploymentId::from_bytes([2; 16]);
    let signed =
        |number, place, key| ToAgent::Statement(Signed::sign(&statement(number, place), key));
    let messages = [
        signed(HELD, HERE, &ROOT),
        signed(HELD + 1, HERE, &ROOT),
        signed(HELD - 1, HERE, &ROOT),
        signed(HELD, elsewhere, &ROOT),
        signed(HELD, HERE, identity(false)),
        ToAgent::Challenge(Challenge { nonce: NONCE, version: PROTOCOL_VERSION, time: NOW }),
        ToAgent::Welcome(welcome()),
        ToAgent::Enrolled(Enrolled {
            instance: instance(true),
            account: account(),
            identity_generation: Generation::FIRST,
            gateways: Vec::new(),
        }),
        ToAgent::Job(job()),
        ToAgent::SealingKeyKept(SealingKeyKept { generation: Generation::FIRST }),
        ToAgent::ReportsKept(ReportsKept { jobs: vec![KeptJob(JobId::from_bytes([1; 16]))] }),
        ToAgent::Move(opencpm_protocol::message::Move {}),
        ToAgent::Goodbye(Goodbye { why: 1, text: String::new(), wait: 0 }),
    ];
    messages.iter().map(ToAgent::encode).collect()
});

/// What the device says by itself, made once as well.
static HELLO: LazyLock<Signed<Hello>> =
    LazyLock::new(|| Signed::sign(&hello(true, NONCE), identity(true)));
static ENROL: LazyLock<Enrol> = LazyLock::new(|| enrol(NONCE));
static REPORT: LazyLock<Signed<Report>> =
    LazyLock::new(|| Signed::sign(&report(true), identity(true)));
static KEY: LazyLock<Signed<SealingCertificate>> = LazyLock::new(|| certificate(true));

fn next(script: &mut Unstructured<'_>) -> Result<Move> {
    Ok(match script.int_in_range(0..=15)? {
        0 => Move::Frame(script.arbitrary()?),
        1 => Move::Ping,
        2 | 3 => Move::Trusted,
        4 => Move::Hello,
        5 => Move::Enrol,
        6 => Move::Report,
        7 => Move::Key,
        8 => Move::Wait(script.arbitrary()?),
        9 => {
            let mut frame = script.choose(&MESSAGES)?.clone();
            let place = script.choose_index(frame.len())?;
            frame[place] ^= script.arbitrary::<u8>()?;
            Move::Frame(frame)
        }
        _ => Move::Frame(script.choose(&MESSAGES)?.clone()),
    })
}

fn job() -> JobFrame {
    let context = context();
    JobFrame {
        job: context.job,
        sequence: Sequence::new(1),
        identity_generation: context.identity_generation,
        sealing_generation: context.sealing_generation,
        verb: context.verb.number(),
        issued_at: context.issued_at,
        not_after: context.not_after,
        authority: authority().public().key_id(),
        sealed: SealedJob { enc: [1; 32], ciphertext: vec![2; 80] },
    }
}
