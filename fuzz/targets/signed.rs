//! What is kept and passed on with a signature: statements, reports, certificates, hellos and
//! requests to enrol. The first byte selects which. Bytes that are taken are kept as they are;
//! only what the key signed for this purpose verifies; what is read is the same when it is
//! encoded and read again.
#![no_main]

use std::fmt::Debug;
use std::sync::LazyLock;

use libfuzzer_sys::Corpus;
use minicbor::Encoder;
use opencpm_domain::Verdict;
use opencpm_fuzz::{
    HERE, NONCE, ROOT, certificate, enrol_request, hello, identity, report, statement,
};
use opencpm_protocol::key::SigningKey;
use opencpm_protocol::message::{EnrolRequest, Hello};
use opencpm_protocol::report::{Report, SealingCertificate};
use opencpm_protocol::sign::{Signable, Signed};
use opencpm_protocol::statement::TrustStatement;

static STATEMENT: LazyLock<Signed<TrustStatement>> =
    LazyLock::new(|| Signed::sign(&statement(1, HERE), &ROOT));
static REPORT: LazyLock<Signed<Report>> =
    LazyLock::new(|| Signed::sign(&report(true), identity(true)));
static CERTIFICATE: LazyLock<Signed<SealingCertificate>> = LazyLock::new(|| certificate(true));
static HELLO: LazyLock<Signed<Hello>> =
    LazyLock::new(|| Signed::sign(&hello(true, NONCE), identity(true)));
static REQUEST: LazyLock<Signed<EnrolRequest>> =
    LazyLock::new(|| Signed::sign(&enrol_request(NONCE), identity(true)));

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| -> Corpus {
    let Some((&first, bytes)) = bytes.split_first() else { return Corpus::Reject };
    match first % 5 {
        0 => check(bytes, &ROOT, &STATEMENT),
        1 => {
            check(bytes, identity(true), &REPORT);
            if let Ok(report) = minicbor::decode::<Report>(bytes) {
                let applied = matches!(report.verdict(), Verdict::Applied { .. });
                assert_eq!(applied, report.applied);
            }
        }
        2 => check(bytes, identity(true), &CERTIFICATE),
        3 => check(bytes, identity(true), &HELLO),
        _ => check(bytes, identity(true), &REQUEST),
    }
    Corpus::Keep
});

fn check<T: Signable + PartialEq + Debug>(bytes: &[u8], key: &SigningKey, genuine: &Signed<T>) {
    if let Ok(signed) = Signed::<T>::from_bytes(bytes) {
        let kept = signed.to_bytes();
        assert!(Signed::from_bytes(&kept).is_ok_and(|read: Signed<T>| read == signed));
        assert_eq!(signed.verify(&key.public()).is_ok(), signed == *genuine);
    }
    // The same bytes as what is signed: as a newer version might write it.
    let Ok(value) = minicbor::decode::<T>(bytes) else { return };
    assert!(read_again(&value));
    let mine = with_payload::<T>(bytes, genuine);
    assert!(mine.read_unverified().is_ok_and(|read| read == value));
    let verified = mine.verify(&key.public());
    assert_eq!(verified.is_ok(), mine == *genuine);
    let signed = Signed::sign(&value, key);
    assert!(signed.verify(&key.public()).is_ok_and(|read| read == value));
}

fn read_again<T: Signable + PartialEq>(value: &T) -> bool {
    let bytes = minicbor::to_vec(value).expect("it is encoded");
    minicbor::decode::<T>(&bytes).is_ok_and(|read| read == *value)
}

/// Another payload under the genuine signature.
fn with_payload<T>(payload: &[u8], genuine: &Signed<T>) -> Signed<T> {
    let genuine = genuine.to_bytes();
    let mut encoder = Encoder::new(Vec::new());
    let signature = &genuine[genuine.len() - 64..];
    let written = encoder.array(2).and_then(|e| e.bytes(payload)).and_then(|e| e.bytes(signature));
    written.expect("writing to memory");
    Signed::from_bytes(&encoder.into_writer()).expect("a payload and a signature")
}
