//! An enrolment token survives being copied, and says what happened when it did not.

use opencpm_domain::{DeploymentId, InstanceId};
use opencpm_protocol::key::VerifyingKey;
use opencpm_protocol::node::NodeToken;
use opencpm_protocol::token::{EnrolmentToken, MAX_ADDRESSES, MAX_TOKEN, TokenError, secret_hash};
use proptest::prelude::*;
use secrecy::ExposeSecret;

use crate::Counter;

fn token_for(addresses: &[&str], instance: Option<&str>) -> Result<EnrolmentToken, TokenError> {
    EnrolmentToken::generate(
        &mut Counter(0),
        VerifyingKey::from_bytes([0xaa; 32]),
        DeploymentId::from_bytes([0xd0; 16]),
        addresses.iter().map(ToString::to_string).collect(),
        instance.map(|id| InstanceId::parse(id).unwrap()),
    )
}

fn text() -> String {
    let token = token_for(&["cpm.example.org:8443", "[2001:db8::1]:8443"], Some("cpm-34xs43xs"));
    token.unwrap().to_secret_text().expose_secret().to_owned()
}

#[test]
fn a_copied_token_says_the_same() {
    let token = EnrolmentToken::parse(&text()).unwrap();
    let expected: [u8; 32] = std::array::from_fn(|i| i as u8 + 1);
    assert_eq!(token.secret(), &expected);
    assert_eq!(token.secret_hash(), secret_hash(&expected));
    assert_eq!(token.root, VerifyingKey::from_bytes([0xaa; 32]));
    assert_eq!(token.deployment, DeploymentId::from_bytes([0xd0; 16]));
    assert_eq!(token.addresses(), ["cpm.example.org:8443", "[2001:db8::1]:8443"]);
    assert_eq!(token.instance, Some(InstanceId::parse("cpm-34xs43xs").unwrap()));
}

#[test]
fn a_token_for_new_devices_names_none() {
    let text = token_for(&["127.0.0.1:1"], None).unwrap().to_secret_text();
    assert_eq!(EnrolmentToken::parse(text.expose_secret()).unwrap().instance, None);
}

#[test]
fn a_token_without_its_end_is_said_to_be_cut_off() {
    let text = text();
    for length in "opencpm".len()..text.len() {
        let cut = EnrolmentToken::parse(&text[..length]);
        assert!(matches!(cut, Err(TokenError::CutOff)), "{length} of {}", text.len());
    }
}

#[test]
fn a_terminal_may_wrap_the_line() {
    let text = text();
    let (left, right) = text.split_at(80);
    assert!(EnrolmentToken::parse(&format!("  {left}\r\n {right}\n")).is_ok());
}

#[test]
fn a_changed_character_is_noticed() {
    let text = text();
    for at in 0..text.len() {
        let mut bytes = text.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        assert!(EnrolmentToken::parse(&String::from_utf8(bytes).unwrap()).is_err(), "{at}");
    }
    assert!(matches!(EnrolmentToken::parse(&format!("{text}A")), Err(TokenError::Damaged)));
}

#[test]
fn something_else_than_a_token_is_named_so() {
    for other in ["", "open", "hunter2", "opencpmX", "OPENCPM1.AAAA.AAAAAAAA", "é"] {
        assert!(matches!(EnrolmentToken::parse(other), Err(TokenError::NotAToken(_))), "{other}");
    }
    let newer = text().replacen("opencpm1.", "opencpm2.", 1);
    assert!(matches!(EnrolmentToken::parse(&newer), Err(TokenError::NewerFormat)));
    let long = "x".repeat(MAX_TOKEN + 1);
    assert!(matches!(EnrolmentToken::parse(&long), Err(TokenError::TooLong)));
}

#[test]
fn the_secret_does_not_print() {
    let token = token_for(&["a:1"], None).unwrap();
    let printed = format!("{token:?} {:?}", token.to_secret_text());
    assert!(!printed.contains("secret") && !printed.contains("opencpm1"), "{printed}");
}

#[test]
fn only_addresses_that_can_be_connected_to_are_taken() {
    let bad = ["", "host", ":1", "host:", "host:0", "host:65536", "host:+1", "ho st:1", "::1:1"];
    for address in bad {
        assert!(matches!(token_for(&[address], None), Err(TokenError::Address)), "{address}");
    }
    assert!(matches!(token_for(&[], None), Err(TokenError::AddressCount)));
    let many = ["a:1"; MAX_ADDRESSES + 1];
    assert!(matches!(token_for(&many, None), Err(TokenError::AddressCount)));
}

#[test]
fn the_largest_token_can_be_read() {
    let address = format!("{}:65535", "a".repeat(253));
    let instance = "x".repeat(64);
    let token = token_for(&[address.as_str(); MAX_ADDRESSES], Some(&instance)).unwrap();
    assert!(EnrolmentToken::parse(token.to_secret_text().expose_secret()).is_ok());
}

proptest! {
    #[test]
    fn any_text_is_answered(text in any::<String>()) {
        prop_assert!(EnrolmentToken::parse(&text).is_err());
    }

    #[test]
    fn any_text_like_a_token_is_answered(
        text in "opencpm1\\.[A-Za-z0-9_-]{0,300}\\.[A-Za-z0-9_-]{0,9}",
    ) {
        prop_assert!(EnrolmentToken::parse(&text).is_err());
    }

    #[test]
    fn every_token_is_read_back(
        hosts in prop::collection::vec("[a-z][a-z0-9.-]{0,40}:[1-9][0-9]{0,3}", 1..=MAX_ADDRESSES),
        instance in prop::option::of("[A-Za-z0-9_-]{1,64}"),
    ) {
        let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
        let token = token_for(&hosts, instance.as_deref()).unwrap();
        let read = EnrolmentToken::parse(token.to_secret_text().expose_secret()).unwrap();
        prop_assert_eq!(read.addresses(), hosts);
        prop_assert_eq!(read.secret(), token.secret());
        prop_assert_eq!(read.instance.map(|id| id.to_string()), instance);
    }
}

#[test]
fn a_node_token_says_the_same_and_is_no_enrolment_token() {
    let (root, deployment) =
        (VerifyingKey::from_bytes([0xaa; 32]), DeploymentId::from_bytes([2; 16]));
    let addresses = vec!["api.example.org:8444".to_owned()];
    let made = NodeToken::generate(&mut Counter(0), root, deployment, addresses).unwrap();
    let node = made.to_secret_text();
    let token = NodeToken::parse(node.expose_secret()).unwrap();
    assert_eq!((token.root(), token.deployment()), (root, deployment));
    assert_eq!(token.secret_hash(), made.secret_hash());
    assert_eq!(token.addresses(), ["api.example.org:8444"]);
    let mistaken = EnrolmentToken::parse(node.expose_secret());
    assert!(matches!(mistaken, Err(TokenError::NotAToken("opencpm1."))));
    let mistaken = NodeToken::parse(&text());
    assert!(matches!(mistaken, Err(TokenError::NotAToken("opencpm-node1."))));
}
