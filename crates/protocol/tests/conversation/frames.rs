//! Known bytes, one frame or more each way: what agents in the field speak does not drift.

use opencpm_domain::{
    DeploymentId, Generation, InstanceId, JobId, Sequence, Timestamp, hex_to_bytes, to_hex,
};
use opencpm_protocol::key::{KeyId, SigningKey};
use opencpm_protocol::message::{JobFrame, SealingKeyKept, ToAgent, ToServer};
use opencpm_protocol::report::Report;
use opencpm_protocol::seal::SealedJob;
use opencpm_protocol::sign::Signed;

fn bytes(hex: &str) -> Vec<u8> {
    hex_to_bytes(&hex.split_whitespace().collect::<String>()).unwrap()
}

/// `[6, [{0: 7}]]`: number, then an array with the one map.
const SEALING_KEY_KEPT: &str = "82 06 81 a1 00 07";

/// `[4, [{0: job, 1: sequence, 2: 1, 3: 2, 4: 1, 5: issued at, 6: not after, 7: authority,
/// 8: {0: enc, 1: ciphertext}}]]`.
const JOB: &str = "82 04 81 a9
    00 50 11111111111111111111111111111111
    01 1b 0006651728988001
    02 01
    03 02
    04 01
    05 1b 0006651728988000
    06 1b 000665172f26f780
    07 48 2222222222222222
    08 a2
        00 5820 3333333333333333333333333333333333333333333333333333333333333333
        01 43 444444";

/// `[2, [[payload, signature]]]`, the payload a map without the fields that are not there.
const REPORT: &str = "82 02 81 82
    584d a9
        00 50 55555555555555555555555555555555
        01 6c 63706d2d3334787334337873
        02 01
        03 50 11111111111111111111111111111111
        04 05
        05 f5
        07 81 1828
        08 1a 000f4240
        09 68 7965736372797074
    5840 d9f559be85b24de55fb0b958d6ba0352670630a672f1534224bf8c04e5c3d4b2
        99570de52e58d4ed267353f001efc37850c8355b192109060beaca8e2860080a";

fn job() -> ToAgent {
    ToAgent::Job(JobFrame {
        job: JobId::from_bytes([0x11; 16]),
        sequence: Sequence::new(1_800_000_000_000_001),
        identity_generation: Generation::FIRST,
        sealing_generation: Generation::new(2).unwrap(),
        verb: 1,
        issued_at: Timestamp::from_secs(1_800_000_000),
        not_after: Timestamp::from_secs(1_800_000_110),
        authority: KeyId::from_bytes([0x22; 8]),
        sealed: SealedJob { enc: [0x33; 32], ciphertext: vec![0x44; 3] },
    })
}

fn report() -> ToServer {
    let report = Report {
        deployment: DeploymentId::from_bytes([0x55; 16]),
        instance: InstanceId::parse("cpm-34xs43xs").unwrap(),
        identity_generation: Generation::FIRST,
        job: JobId::from_bytes([0x11; 16]),
        sequence: Sequence::new(5),
        applied: true,
        reason: None,
        advice: vec![40],
        at: Timestamp::from_secs(1),
        scheme: Some("yescrypt".to_owned()),
        next_sealing: None,
    };
    ToServer::Report(Signed::sign(&report, &SigningKey::from_bytes(&[0x66; 32])))
}

#[test]
fn what_the_server_says_has_these_bytes() {
    let kept = SealingKeyKept { generation: Generation::new(7).unwrap() };
    let kept = ToAgent::SealingKeyKept(kept);
    for (message, frame) in [(kept, SEALING_KEY_KEPT), (job(), JOB)] {
        assert_eq!(to_hex(&message.encode()), to_hex(&bytes(frame)));
        assert_eq!(ToAgent::decode(&bytes(frame)).unwrap(), Some(message));
    }
}

#[test]
fn what_the_agent_says_has_these_bytes() {
    assert_eq!(to_hex(&report().encode()), to_hex(&bytes(REPORT)));
    assert_eq!(ToServer::decode(&bytes(REPORT)).unwrap(), Some(report()));
}

/// `[6, [{0: 7, 99: "new"}]]` and `[8, ["whatever"]]`.
#[test]
fn what_a_later_version_says_is_understood_or_ignored() {
    let later_field = bytes("82 06 81 a2 00 07 18 63 63 6e6577");
    let generation = Generation::new(7).unwrap();
    let known = ToAgent::SealingKeyKept(SealingKeyKept { generation });
    assert_eq!(ToAgent::decode(&later_field).unwrap(), Some(known));
    let later_message = bytes("82 08 81 68 7768617465766572");
    assert_eq!(ToAgent::decode(&later_message).unwrap(), None);
}
