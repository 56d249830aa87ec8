//! Known bytes, one frame or more each way: what agents in the field speak does not drift.

use opencpm_domain::{
    DeploymentId, Generation, InstanceId, JobId, Sequence, Timestamp, hex_to_bytes, to_hex,
};
use opencpm_protocol::key::{KeyId, SigningKey};
use opencpm_protocol::message::{JobFrame, Move, SealingKeyKept, ToAgent, ToServer};
use opencpm_protocol::node::{Certificate, CertificateRequest, Certified, Certify, TlsPublic};
use opencpm_protocol::report::Report;
use opencpm_protocol::seal::SealedJob;
use opencpm_protocol::sign::Signed;

fn bytes(hex: &str) -> Vec<u8> {
    hex_to_bytes(&hex.split_whitespace().collect::<String>()).unwrap()
}

/// `[6, [{0: 7}]]`: number, then an array with the one map.
const SEALING_KEY_KEPT: &str = "82 06 81 a1 00 07";

/// `[9, [{}]]`.
const MOVE: &str = "82 09 81 a0";

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

/// `[8, [{0: [certificate], 1: renew, 2: [address]}]]`.
const CERTIFIED: &str = "82 08 81 a3
    00 81 42 7777
    01 1b 0006651728988000
    02 81 63 613a31";

/// `[4, [{0: secret, 1: [payload, signature]}]]`.
const CERTIFY: &str = "82 04 81 a2
    00 5820 0808080808080808080808080808080808080808080808080808080808080808
    01 82
    58a3 a6
        00 5820 5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a
        01 50 55555555555555555555555555555555
        02 5820 34b4d9043156cb6dcf0beb0a2949b7559c940d2bcb6dbe8c53a9b30278e3a746
        03 5841 0404040404040404040404040404040404040404040404040404040404040404
            0404040404040404040404040404040404040404040404040404040404040404 04
        04 62 6777
        05 01
    5840 2b6966cbace038c48378badc7c3bdb9bb3da5fe85cc7f38b81f388a532980795
        a14194ad8e1382bc8fd9c4bbb1597b1f0ddc7fe5fd8536a14e067b5191854d08";

fn certify(secret: Option<[u8; 32]>) -> ToServer {
    let key = SigningKey::from_bytes(&[0x66; 32]);
    let request = CertificateRequest {
        nonce: [0x5a; 32],
        deployment: DeploymentId::from_bytes([0x55; 16]),
        node: key.public(),
        tls: TlsPublic([4; 65]),
        hostname: "gw".to_owned(),
        version: 1,
    };
    let request = Signed::sign(&request, &key);
    ToServer::Certify(Certify { secret: secret.map(Into::into), request })
}

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
    let certified = ToAgent::Certified(Certified {
        chain: vec![Certificate(vec![0x77; 2])],
        renew: Timestamp::from_secs(1_800_000_000),
        addresses: vec!["a:1".to_owned()],
    });
    let go = ToAgent::Move(Move {});
    for (message, frame) in
        [(kept, SEALING_KEY_KEPT), (job(), JOB), (certified, CERTIFIED), (go, MOVE)]
    {
        assert_eq!(to_hex(&message.encode()), to_hex(&bytes(frame)));
        assert_eq!(ToAgent::decode(&bytes(frame)).unwrap(), Some(message));
    }
}

#[test]
fn what_the_agent_says_has_these_bytes() {
    let certify = certify(Some([8; 32]));
    for (message, frame) in [(report(), REPORT), (certify, CERTIFY)] {
        assert_eq!(to_hex(&message.encode()), to_hex(&bytes(frame)));
        assert_eq!(ToServer::decode(&bytes(frame)).unwrap(), Some(message));
    }
}

#[test]
fn a_node_that_renews_shows_no_secret() {
    let renewal = certify(None);
    let frame = renewal.encode();
    assert_eq!(frame[..6], [0x82, 4, 0x81, 0xa1, 1, 0x82]);
    assert_eq!(ToServer::decode(&frame).unwrap(), Some(renewal));
}

/// `[6, [{0: 7, 99: "new"}]]` and `[23, ["whatever"]]`.
#[test]
fn what_a_later_version_says_is_understood_or_ignored() {
    let later_field = bytes("82 06 81 a2 00 07 18 63 63 6e6577");
    let generation = Generation::new(7).unwrap();
    let known = ToAgent::SealingKeyKept(SealingKeyKept { generation });
    assert_eq!(ToAgent::decode(&later_field).unwrap(), Some(known));
    let later_message = bytes("82 17 81 68 7768617465766572");
    assert_eq!(ToAgent::decode(&later_message).unwrap(), None);
}
