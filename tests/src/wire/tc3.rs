use sha2::{Digest, Sha256};

use super::{Message, hmac_sha256};

/// A request of API 3.0 under TC3-HMAC-SHA256 (contract 2.3). It is right in every point until a
/// test makes it wrong.
#[derive(Clone, Debug)]
pub struct Tc3 {
    /// `GET` or `POST`.
    pub method: String,
    /// As sent in `Host`.
    pub host: String,
    /// As signed.
    pub signed_host: String,
    /// The query of a GET, the body of a POST.
    pub payload: String,
    /// Sent in place of what was signed.
    pub sent: Option<String>,
    /// Besides `Host` and `Authorization`.
    pub headers: Vec<(String, String)>,
    /// `SignedHeaders`, in this order; the canonical request has them sorted.
    pub signed: Vec<String>,
    /// Whether the canonical request has the headers' values in lower case.
    pub lower: bool,
    /// The public half of the key.
    pub secret_id: String,
    /// The secret half.
    pub secret_key: String,
    /// `YYYY-MM-DD`.
    pub date: String,
    /// Of the credential scope.
    pub service: String,
    /// The end of the credential scope.
    pub terminator: String,
    /// Makes the header out of credential, signed headers and signature.
    pub authorization: fn(&str, &str, &str) -> String,
}

/// `Authorization` as the SDKs write it.
pub(crate) fn usual(credential: &str, signed: &str, signature: &str) -> String {
    format!(
        "TC3-HMAC-SHA256 Credential={credential}, SignedHeaders={signed}, Signature={signature}"
    )
}

impl Tc3 {
    /// A request of this key for an action in the version of the contract, with no parameters, at
    /// a time in Unix seconds.
    pub fn new(method: &str, host: &str, key: (&str, &str), action: &str, at: u64) -> Self {
        let content_type = match method {
            "GET" => "application/x-www-form-urlencoded",
            _ => "application/json",
        };
        let headers = [
            ("Content-Type", content_type),
            ("X-TC-Action", action),
            ("X-TC-Version", "2018-04-23"),
            ("X-TC-Timestamp", &at.to_string()),
        ];
        Self {
            method: method.to_owned(),
            host: host.to_owned(),
            signed_host: host.to_owned(),
            payload: String::new(),
            sent: None,
            headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
            signed: vec!["content-type".to_owned(), "host".to_owned()],
            lower: true,
            secret_id: key.0.to_owned(),
            secret_key: key.1.to_owned(),
            date: utc_date(at),
            service: "bm".to_owned(),
            terminator: "tc3_request".to_owned(),
            authorization: usual,
        }
    }

    /// Adds a header, or replaces the one of this name.
    pub fn set(&mut self, name: &str, value: &str) {
        self.remove(name);
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    /// Takes a header away.
    pub fn remove(&mut self, name: &str) {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
    }

    /// The hash over the canonical request, in hexadecimal digits.
    pub fn canonical_hash(&self) -> String {
        let mut names = self.signed.clone();
        names.sort();
        let headers: String = names.iter().map(|name| self.canonical_header(name)).collect();
        let (query, body) = match self.method.as_str() {
            "GET" => (self.payload.as_str(), ""),
            _ => ("", self.payload.as_str()),
        };
        let unsigned = self.header("x-tc-content-sha256") == "UNSIGNED-PAYLOAD";
        let payload = if unsigned { "UNSIGNED-PAYLOAD" } else { body };
        let signed = self.signed.join(";");
        let hash = hex(&Sha256::digest(payload));
        hex(&Sha256::digest(format!("{}\n/\n{query}\n{headers}\n{signed}\n{hash}", self.method)))
    }

    /// The signature, in hexadecimal digits.
    pub fn sign(&self) -> String {
        let Self { date, service, terminator, .. } = self;
        let text = format!(
            "TC3-HMAC-SHA256\n{}\n{date}/{service}/{terminator}\n{}",
            self.header("x-tc-timestamp"),
            self.canonical_hash()
        );
        let first = format!("TC3{}", self.secret_key).into_bytes();
        let key =
            [date, service, terminator].iter().fold(first, |key, part| hmac_sha256(&key, part));
        hex(&hmac_sha256(&key, &text))
    }

    /// The request that it is.
    pub fn message(&self) -> Message {
        let Self { secret_id, date, service, terminator, .. } = self;
        let credential = format!("{secret_id}/{date}/{service}/{terminator}");
        let authorization = (self.authorization)(&credential, &self.signed.join(";"), &self.sign());
        let mut headers = vec![("Host".to_owned(), self.host.clone())];
        headers.extend(self.headers.clone());
        headers.push(("Authorization".to_owned(), authorization));
        let sent = self.sent.as_ref().unwrap_or(&self.payload);
        let (target, body) = match self.method.as_str() {
            "GET" => (format!("/?{sent}"), Vec::new()),
            _ => ("/".to_owned(), sent.clone().into_bytes()),
        };
        Message { method: self.method.clone(), target, headers, body }
    }

    fn header(&self, name: &str) -> String {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    }

    fn canonical_header(&self, name: &str) -> String {
        let value = match name.to_ascii_lowercase().as_str() {
            "host" => self.signed_host.clone(),
            name => self.header(name),
        };
        let value = if self.lower { value.to_lowercase() } else { value };
        format!("{}:{}\n", name.to_lowercase(), value.trim())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The day in UTC, `YYYY-MM-DD` (days to civil date as in "chrono-compatible low-level date
/// algorithms", H. Hinnant).
pub(crate) fn utc_date(at: u64) -> String {
    let days = at / 86_400 + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    format!("{:04}-{month:02}-{day:02}", year + era * 400 + next)
}
