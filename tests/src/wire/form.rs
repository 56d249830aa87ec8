use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Message, hmac_sha1, hmac_sha256};

/// A request of API 2.0, or of v1 of API 3.0: everything in a form (contract 2.1, 2.2). It is right
/// in every point until a test makes it wrong.
#[derive(Clone, Debug)]
pub struct Form {
    /// `GET` or `POST`.
    pub method: String,
    /// Which of the dialects' paths.
    pub path: String,
    /// As sent in `Host`.
    pub host: String,
    /// As signed.
    pub signed_host: String,
    /// As signed.
    pub signed_method: String,
    /// Names and values in clear, as sent; without `Signature`.
    pub fields: Vec<(String, String)>,
    /// What it is signed with.
    pub secret_key: String,
    /// Sent, and left out of the string to sign.
    pub unsigned: Vec<String>,
    /// Sent in place of the right signature.
    pub signature: Option<String>,
    /// Encodes names and values.
    pub encode: fn(&str) -> String,
}

impl Form {
    /// Adds a field, or replaces the one of this name.
    pub fn set(&mut self, name: &str, value: &str) {
        self.remove(name);
        self.fields.push((name.to_owned(), value.to_owned()));
    }

    /// Takes a field away.
    pub fn remove(&mut self, name: &str) {
        self.fields.retain(|(known, _)| known != name);
    }

    /// The string to sign.
    pub fn text(&self) -> String {
        let signed = self.fields.iter().filter(|(name, _)| !self.unsigned.contains(name));
        let mut pairs: Vec<_> =
            signed.map(|(name, value)| (name.replace('_', "."), value)).collect();
        pairs.sort();
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("{}{}{}?{}", self.signed_method, self.signed_host, self.path, pairs.join("&"))
    }

    /// Base64, by the algorithm that `SignatureMethod` names.
    pub fn sign(&self) -> String {
        let is_sha256 =
            |(name, value): &(String, String)| name == "SignatureMethod" && value == "HmacSHA256";
        let hmac = if self.fields.iter().any(is_sha256) { hmac_sha256 } else { hmac_sha1 };
        STANDARD.encode(hmac(self.secret_key.as_bytes(), &self.text()))
    }

    /// The encoded fields with their signature.
    pub fn encoded(&self) -> String {
        let signature = self.signature.clone().unwrap_or_else(|| self.sign());
        let fields = self.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let all = fields.chain([("Signature", signature.as_str())]);
        let pairs: Vec<_> = all
            .map(|(name, value)| format!("{}={}", (self.encode)(name), (self.encode)(value)))
            .collect();
        pairs.join("&")
    }

    /// The request that it is.
    pub fn message(&self) -> Message {
        let host = ("Host".to_owned(), self.host.clone());
        if self.method == "GET" {
            let target = format!("{}?{}", self.path, self.encoded());
            return Message { method: "GET".into(), target, headers: vec![host], body: Vec::new() };
        }
        let form = ("Content-Type".to_owned(), "application/x-www-form-urlencoded".to_owned());
        Message {
            method: self.method.clone(),
            target: self.path.clone(),
            headers: vec![host, form],
            body: self.encoded().into_bytes(),
        }
    }
}

/// Everything but unreserved characters as `%XX` (RFC 3986, section 2.3).
pub fn escaped(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    text.bytes()
        .map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}
