//! The string to sign and its HMAC (contract 2.2).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use zeroize::Zeroizing;

/// Signs a POST with HmacSHA256. Sorts the parameters by name.
pub(super) fn sign(
    secret_key: &SecretString,
    host: &str,
    path: &str,
    parameters: &mut [(String, String)],
) -> String {
    parameters.sort_by(|(a, _), (b, _)| a.cmp(b));
    let text = string_to_sign(host, path, parameters);
    // HMAC takes keys of any length; an empty signature would be refused.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret_key.expose_secret().as_bytes()) else {
        return String::new();
    };
    mac.update(text.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

/// Room is made first: a text that grows leaves copies of the password behind.
fn string_to_sign(host: &str, path: &str, parameters: &[(String, String)]) -> Zeroizing<String> {
    let length: usize = parameters.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
    let mut text = Zeroizing::new(String::with_capacity(host.len() + path.len() + 8 + length));
    for part in ["POST", host, path] {
        text.push_str(part);
    }
    for (place, (name, value)) in parameters.iter().enumerate() {
        text.push(if place == 0 { '?' } else { '&' });
        text.push_str(name);
        text.push('=');
        text.push_str(value);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Vector B of contract 2.7.
    #[test]
    fn a_signature_is_that_of_the_contract() {
        let mut parameters: Vec<_> = [
            ("passwd", "Ab1!@#$%^&*()"),
            ("instanceIds.0", "cpm-34xs43xs"),
            ("Timestamp", "1700000000"),
            ("SignatureMethod", "HmacSHA256"),
            ("SecretId", "AKIDEXAMPLE0001"),
            ("Region", "gz"),
            ("Nonce", "11886"),
            ("Action", "ResetDevicePasswd"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        let key = SecretString::from("example-secret-key-0001");
        let signature = sign(&key, "127.0.0.1:8443", "/v2/index.php", &mut parameters);
        assert_eq!(signature, "u/4N3HcdI78wFE8A6PH7mTGr2RgLQgGgvhQMZKcbTVU=");
    }
}
