//! A signature holds for its bytes, its key and its purpose.

use minicbor::{Decode, Encode};
use opencpm_protocol::key::{SigningKey, VerifyingKey};
use opencpm_protocol::sign::{Signable, SignatureError, Signed};
use proptest::prelude::*;

use crate::Counter;

#[derive(Debug, PartialEq, Encode, Decode)]
#[cbor(map)]
struct Note {
    #[n(0)]
    number: u32,
}

impl Signable for Note {
    const CONTEXT: &'static str = "opencpm test note v1";
}

/// The same message as a later version writes it.
#[derive(Debug, PartialEq, Encode, Decode)]
#[cbor(map)]
struct LaterNote {
    #[n(0)]
    number: u32,
    #[n(1)]
    text: Option<String>,
}

impl Signable for LaterNote {
    const CONTEXT: &'static str = Note::CONTEXT;
}

/// The same content for another purpose.
#[derive(Debug, PartialEq, Encode, Decode)]
#[cbor(map)]
struct Order {
    #[n(0)]
    number: u32,
}

impl Signable for Order {
    const CONTEXT: &'static str = "opencpm test order v1";
}

fn key() -> SigningKey {
    SigningKey::generate(&mut Counter(0))
}

#[test]
fn a_signed_value_is_read_back() {
    let signed = Signed::sign(&Note { number: 7 }, &key());
    assert_eq!(signed.verify(&key().public()).unwrap(), Note { number: 7 });
    assert_eq!(signed.read_unverified().unwrap(), Note { number: 7 });
}

#[test]
fn another_key_did_not_sign_it() {
    let signed = Signed::sign(&Note { number: 7 }, &key());
    let other = SigningKey::generate(&mut Counter(1)).public();
    assert!(matches!(signed.verify(&other), Err(SignatureError::Mismatch(_))));
}

#[test]
fn a_signature_for_one_purpose_is_none_for_another() {
    let note = Signed::sign(&Note { number: 7 }, &key());
    let order = Signed::<Order>::from_bytes(&note.to_bytes()).unwrap();
    assert!(matches!(order.verify(&key().public()), Err(SignatureError::Mismatch(_))));
}

#[test]
fn an_old_version_passes_on_what_it_does_not_know() {
    let later = LaterNote { number: 7, text: Some("new".to_owned()) };
    let sent = Signed::sign(&later, &key());
    let seen = Signed::<Note>::from_bytes(&sent.to_bytes()).unwrap();
    assert_eq!(seen.verify(&key().public()).unwrap(), Note { number: 7 });
    let stored = Signed::<LaterNote>::from_bytes(&seen.to_bytes()).unwrap();
    assert_eq!(stored.verify(&key().public()).unwrap(), later);
}

#[test]
fn any_changed_bit_is_noticed() {
    let good = Signed::sign(&Note { number: 7 }, &key()).to_bytes();
    for (at, bit) in (0..good.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
        let mut bad = good.clone();
        bad[at] ^= 1 << bit;
        let read = Signed::<Note>::from_bytes(&bad);
        assert!(read.is_err() || read.unwrap().verify(&key().public()).is_err(), "{at}, {bit}");
    }
}

/// Lenient verification takes this signature for any message.
#[test]
fn a_key_that_fits_everything_fits_nothing() {
    let mut identity_point = [0; 32];
    identity_point[0] = 1;
    let mut bytes = Signed::sign(&Note { number: 7 }, &key()).to_bytes();
    let signature = bytes.len() - 64;
    bytes[signature..].fill(0);
    bytes[signature] = 1;
    let forged = Signed::<Note>::from_bytes(&bytes).unwrap();
    assert!(forged.verify(&VerifyingKey::from_bytes(identity_point)).is_err());
}

#[test]
fn bytes_that_are_no_key_verify_nothing() {
    let signed = Signed::sign(&Note { number: 7 }, &key());
    for byte in [0, 2, 0xff] {
        assert!(signed.verify(&VerifyingKey::from_bytes([byte; 32])).is_err(), "{byte}");
    }
}

proptest! {
    #[test]
    fn foreign_bytes_are_refused_without_panic(bytes in any::<Vec<u8>>()) {
        let read = Signed::<Note>::from_bytes(&bytes);
        prop_assert!(read.is_err() || read.unwrap().verify(&key().public()).is_err());
    }
}
