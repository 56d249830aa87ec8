//! Signed requests of API 3.0 as raw text: TC3-HMAC-SHA256 (contract 2.3).

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::ask::{HOST, Reply};
use crate::world::{NOW, SECRET_ID, SECRET_KEY};

/// A request in the making: right in every point until a test makes it wrong.
#[derive(Clone)]
pub(crate) struct Ask3 {
    pub(crate) method: &'static str,
    /// The query of a GET, the body of a POST.
    pub(crate) payload: String,
    /// Sent in place of what was signed.
    pub(crate) sent: Option<String>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) signed: Vec<&'static str>,
    pub(crate) secret_id: String,
    pub(crate) date: String,
    pub(crate) service: String,
    pub(crate) signed_host: String,
    pub(crate) authorization: Option<String>,
}

impl Ask3 {
    pub(crate) fn new(action: &str, body: &str) -> Self {
        let timestamp = NOW.to_string();
        let headers = [
            ("Content-Type", "application/json"),
            ("X-TC-Action", action),
            ("X-TC-Version", "2018-04-23"),
            ("X-TC-Timestamp", &timestamp),
        ];
        Self {
            method: "POST",
            payload: body.to_owned(),
            sent: None,
            headers: headers.map(|(n, v)| (n.to_owned(), v.to_owned())).to_vec(),
            signed: vec!["content-type", "host"],
            secret_id: SECRET_ID.to_owned(),
            date: "2023-11-14".to_owned(),
            service: "bm".to_owned(),
            signed_host: HOST.to_owned(),
            authorization: None,
        }
    }

    pub(crate) fn reset(password: &str) -> Self {
        let body = format!(r#"{{"InstanceIds":["cpm-1"],"Password":"{password}"}}"#);
        Self::new("ResetDevicePassword", &body)
    }

    pub(crate) fn get(action: &str, query: &str) -> Self {
        let ask = Self { method: "GET", ..Self::new(action, query) };
        ask.with("Content-Type", "application/x-www-form-urlencoded")
    }

    /// Adds a header, or replaces the one of this name.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn signing_action(mut self) -> Self {
        self.signed.push("x-tc-action");
        self
    }

    pub(crate) fn raw(&self) -> String {
        let authorization = self.authorization.clone().unwrap_or_else(|| self.sign());
        let sent = self.sent.as_ref().unwrap_or(&self.payload);
        let (target, body) = match self.method {
            "GET" => (format!("/?{sent}"), ""),
            _ => ("/".to_owned(), sent.as_str()),
        };
        let mut lines = vec![
            format!("{} {target} HTTP/1.1", self.method),
            format!("Host: {HOST}"),
            "Connection: close".to_owned(),
            format!("Content-Length: {}", body.len()),
            format!("Authorization: {authorization}"),
        ];
        lines.extend(self.headers.iter().map(|(name, value)| format!("{name}: {value}")));
        format!("{}\r\n\r\n{body}", lines.join("\r\n"))
    }

    fn header(&self, name: &str) -> String {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    }

    fn sign(&self) -> String {
        let signed = self.signed.join(";");
        let headers: String = self.signed.iter().map(|name| self.canonical_header(name)).collect();
        let unsigned = self.header("x-tc-content-sha256") == "UNSIGNED-PAYLOAD";
        let (query, payload) = match self.method {
            "GET" => (self.payload.as_str(), ""),
            _ if unsigned => ("", "UNSIGNED-PAYLOAD"),
            _ => ("", self.payload.as_str()),
        };
        let request = format!(
            "{}\n/\n{query}\n{headers}\n{signed}\n{}",
            self.method,
            hex(&Sha256::digest(payload))
        );
        let scope = format!("{}/{}/tc3_request", self.date, self.service);
        let text = format!(
            "TC3-HMAC-SHA256\n{}\n{scope}\n{}",
            self.header("x-tc-timestamp"),
            hex(&Sha256::digest(request))
        );
        let first = format!("TC3{SECRET_KEY}");
        let parts = [self.date.as_str(), &self.service, "tc3_request"];
        let key = parts.iter().fold(first.into_bytes(), |key, part| mac(&key, part));
        format!(
            "TC3-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={signed}, Signature={}",
            self.secret_id,
            hex(&mac(&key, &text))
        )
    }

    fn canonical_header(&self, name: &str) -> String {
        let value = if name == "host" { self.signed_host.clone() } else { self.header(name) };
        format!("{name}:{}\n", value.trim().to_lowercase())
    }
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Reply {
    /// Status 200, the exact content type, and the form of contract section 7.
    pub(crate) fn assert_refused_v3(&self, code: &str) {
        let response = &self.json()["Response"];
        assert_eq!(self.status, 200, "{self:?}");
        assert_eq!(response["Error"]["Code"], code, "{self:?}");
        assert!(response["Error"]["Message"].as_str().is_some_and(|m| !m.is_empty()));
        assert!(self.head.contains("\r\ncontent-type: application/json\r\n"), "{self:?}");
        self.request_id();
        assert_eq!(response.as_object().unwrap().len(), 2, "{self:?}");
    }

    /// The fields, without `RequestId`.
    pub(crate) fn done_v3(&self) -> serde_json::Value {
        let mut json = self.json();
        assert_eq!(self.status, 200, "{self:?}");
        assert!(json["Response"].get("Error").is_none(), "{self:?}");
        assert!(self.head.contains("\r\ncontent-type: application/json\r\n"), "{self:?}");
        self.request_id();
        json["Response"].as_object_mut().unwrap().remove("RequestId");
        json["Response"].take()
    }

    /// A UUID in every answer.
    pub(crate) fn request_id(&self) -> String {
        let json = self.json();
        let id = json["Response"]["RequestId"].as_str().unwrap();
        let lengths: Vec<_> = id.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12], "{self:?}");
        id.to_owned()
    }
}
