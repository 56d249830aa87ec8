//! Signed requests as raw text, and what comes back.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha1::Sha1;

use crate::world::{NOW, SECRET_ID, SECRET_KEY};

pub(crate) const HOST: &str = "bm.example.com";

/// A request in the making: right in every point until a test makes it wrong.
#[derive(Clone)]
pub(crate) struct Ask {
    fields: Vec<(String, String)>,
    secret_key: String,
    signature: Option<String>,
    signed_host: String,
}

impl Ask {
    pub(crate) fn new(action: &str) -> Self {
        let timestamp = NOW.to_string();
        let common = [
            ("Action", action),
            ("Nonce", "11886"),
            ("SecretId", SECRET_ID),
            ("Timestamp", &timestamp),
        ];
        Self {
            fields: common.map(|(n, v)| (n.to_owned(), v.to_owned())).to_vec(),
            secret_key: SECRET_KEY.to_owned(),
            signature: None,
            signed_host: HOST.to_owned(),
        }
    }

    /// A reset of one device.
    pub(crate) fn reset(passwd: &str) -> Self {
        Self::new("ResetDevicePasswd").with("instanceIds.0", "cpm-1").with("passwd", passwd)
    }

    /// Adds a field, or replaces the one of this name.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.fields.retain(|(known, _)| known != name);
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    /// So many devices instead of the ones before.
    pub(crate) fn fill_ids(&mut self, count: usize) {
        self.fields.retain(|(known, _)| !known.starts_with("instanceIds"));
        let ids = (0..count).map(|n| (format!("instanceIds.{n}"), format!("cpm-{n}")));
        self.fields.extend(ids);
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.fields.retain(|(known, _)| known != name);
        self
    }

    pub(crate) fn signed_by(mut self, secret_id: &str, secret_key: &str) -> Self {
        secret_key.clone_into(&mut self.secret_key);
        self.with("SecretId", secret_id)
    }

    pub(crate) fn signed_for(mut self, host: &str) -> Self {
        host.clone_into(&mut self.signed_host);
        self
    }

    /// Sends this in place of the right signature.
    pub(crate) fn signature(mut self, signature: &str) -> Self {
        self.signature = Some(signature.to_owned());
        self
    }

    /// As v1 of API 3.0 sends it.
    pub(crate) fn v1_get(&self) -> String {
        let form = self.form_for("GET", "/");
        format!("GET /?{form} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n")
    }

    pub(crate) fn v1_post(&self) -> String {
        post_to(HOST, "/", &self.form_for("POST", "/"))
    }

    /// The encoded fields, signed for this method.
    pub(crate) fn form(&self, method: &str) -> String {
        self.form_for(method, "/v2/index.php")
    }

    fn form_for(&self, method: &str, path: &str) -> String {
        let signature = self.signature.clone().unwrap_or_else(|| self.sign(method, path));
        let fields = self.fields.iter().map(|(n, v)| (n.as_str(), v.as_str()));
        let all = fields.chain([("Signature", signature.as_str())]);
        all.map(|(n, v)| format!("{}={}", encoded(n), encoded(v))).collect::<Vec<_>>().join("&")
    }

    pub(crate) fn get(&self) -> String {
        get(&self.form("GET"))
    }

    pub(crate) fn post(&self) -> String {
        post(&self.form("POST"))
    }

    fn sign(&self, method: &str, path: &str) -> String {
        let mut sorted: Vec<_> =
            self.fields.iter().map(|(n, v)| (n.replace('_', "."), v)).collect();
        sorted.sort();
        let pairs: Vec<_> = sorted.iter().map(|(n, v)| format!("{n}={v}")).collect();
        let text = format!("{method}{}{path}?{}", self.signed_host, pairs.join("&"));
        let mut mac = Hmac::<Sha1>::new_from_slice(self.secret_key.as_bytes()).unwrap();
        mac.update(text.as_bytes());
        STANDARD.encode(mac.finalize().into_bytes())
    }
}

fn encoded(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~".contains(&b);
    text.bytes()
        .map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}

/// A GET with this query.
pub(crate) fn get(query: &str) -> String {
    get_from(HOST, query)
}

pub(crate) fn get_from(host: &str, query: &str) -> String {
    format!("GET /v2/index.php?{query} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
}

/// A POST with this body.
pub(crate) fn post(body: &str) -> String {
    post_to(HOST, "/v2/index.php", body)
}

pub(crate) fn post_to(host: &str, target: &str, body: &str) -> String {
    format!(
        "POST {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// An answer as it came over the wire.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("got {text:?}"));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
        Self { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    pub(crate) fn code(&self) -> u64 {
        self.json()["code"].as_u64().unwrap()
    }

    pub(crate) fn message(&self) -> String {
        self.json()["message"].as_str().unwrap().to_owned()
    }

    /// Status 200, the exact content type, and the form of contract section 7.
    pub(crate) fn assert_refused(&self, code: u64) {
        assert_eq!((self.status, self.code()), (200, code), "{self:?}");
        assert!(self.head.contains("\r\ncontent-type: application/json\r\n"), "{self:?}");
        assert!(self.message().starts_with(&format!("({code})")), "{self:?}");
        assert!(self.json().get("data").is_none(), "{self:?}");
    }

    pub(crate) fn assert_done(&self) {
        assert_eq!((self.status, self.code()), (200, 0), "{self:?}");
        assert!(self.head.contains("\r\ncontent-type: application/json\r\n"), "{self:?}");
        let json = self.json();
        assert_eq!((&json["message"], &json["codeDesc"]), (&"OK".into(), &"Success".into()));
    }
}
