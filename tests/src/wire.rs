//! Requests as raw HTTP/1.1, signed by the rules of contract section 2 in code of the tests' own,
//! so that a mistake in the product's signing cannot hide.

mod connection;
mod form;
mod message;
mod reply;
mod tc3;

pub use connection::{answer_on, connect, exchange, exchange_within};
pub use form::{Form, escaped};
pub use message::Message;
pub use reply::Reply;
pub use tc3::Tc3;

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::Sha256;

fn hmac_sha1(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha1>::new_from_slice(key).expect("HMAC takes any key");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hmac_sha256(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes any key");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}
