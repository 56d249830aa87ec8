//! The enrolment token, as somebody copied it. An even first byte: the rest is the text. An odd
//! one: the rest is its content, and the text is made so that its sum is right. What is read is
//! the same when it is written and read again, also with line breaks in it; a refusal holds no
//! piece of the content.
#![no_main]

use std::error::Error;

use libfuzzer_sys::Corpus;
use opencpm_protocol::token::{EnrolmentToken, MAX_ADDRESSES, MAX_TOKEN};
use secrecy::ExposeSecret;

/// A content with this in it gives itself away.
const SECRET: &str = "xk9qxk9q";

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| -> Corpus {
    let Some((&first, bytes)) = bytes.split_first() else { return Corpus::Reject };
    let text = if first % 2 == 0 {
        match str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => return Corpus::Reject,
        }
    } else {
        around(bytes)
    };
    match EnrolmentToken::parse(&text) {
        Ok(token) => is_kept(&token, &text),
        Err(error) => {
            let mut next: Option<&dyn Error> = Some(&error);
            while let Some(error) = next {
                assert!(!error.to_string().contains(SECRET), "{error}");
                next = error.source();
            }
        }
    }
    Corpus::Keep
});

fn is_kept(token: &EnrolmentToken, text: &str) {
    assert!(text.len() <= MAX_TOKEN);
    assert!((1..=MAX_ADDRESSES).contains(&token.addresses().len()));
    assert!(!format!("{token:?}").contains("secret"));
    assert!(EnrolmentToken::parse(&format!("{text}A")).is_err(), "more than a token is taken");
    let written = token.to_secret_text();
    let written = written.expose_secret();
    let broken: String = written.chars().flat_map(|c| [c, '\n']).collect();
    for text in [written, &broken].into_iter().filter(|text| text.len() <= MAX_TOKEN) {
        let read = EnrolmentToken::parse(text).expect("what was written is read");
        assert_eq!(read.secret(), token.secret());
        assert_eq!((read.root, read.deployment), (token.root, token.deployment));
        assert_eq!((read.addresses(), &read.instance), (token.addresses(), &token.instance));
    }
}

/// The text of a token with this content.
fn around(content: &[u8]) -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
    use sha2::Digest as _;
    let sum = BASE64.encode(&sha2::Sha256::digest(content)[..6]);
    format!("opencpm1.{}.{sum}", BASE64.encode(content))
}
