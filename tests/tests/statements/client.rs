use std::fmt;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use opencpm_tests::wire::{Form, Tc3, answer_on, connect, escaped};
use serde_json::{Map, Value};

/// The largest request may take so long on a slow machine.
const PATIENCE: Duration = Duration::from_secs(600);

/// The two ways to ask for the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    V2,
    V3,
}

impl Dialect {
    /// A name of this dialect.
    pub(crate) fn of(self, [v2, v3]: [&'static str; 2]) -> &'static str {
        match self {
            Self::V2 => v2,
            Self::V3 => v3,
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.of(["API 2.0", "API 3.0"]))
    }
}

/// A name in both dialects, and what is given under it.
pub(crate) type Parameter = ([&'static str; 2], Value);

/// The key of a site, used in one dialect.
pub(crate) struct Client {
    pub(crate) dialect: Dialect,
    pub(crate) authority: String,
    pub(crate) secret_id: String,
    pub(crate) secret_key: String,
    /// Unix seconds.
    pub(crate) now: u64,
}

static NONCE: AtomicU64 = AtomicU64::new(1);

impl Client {
    /// Asks, and returns what the envelope of the answer holds. A refusal fails the test.
    pub(crate) fn ask(&self, action: [&'static str; 2], parameters: &[Parameter]) -> Value {
        let action = self.dialect.of(action);
        let message = match self.dialect {
            Dialect::V2 => self.form(action, parameters).message(),
            Dialect::V3 => self.tc3(action, parameters).message(),
        };
        let mut answer = self.exchange(&message.bytes());
        let content = answer[self.dialect.of(["data", "Response"])].take();
        let refused = content.is_null() || content["Error"].is_object();
        assert!(!refused, "{action}: {answer} {content}");
        content
    }

    fn exchange(&self, request: &[u8]) -> Value {
        let mut stream = connect(&self.authority).expect("a listener");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time");
        stream.write_all(request).expect("the request is read");
        let reply = answer_on(&mut stream).expect("an answer");
        serde_json::from_str(&reply.body).expect("JSON")
    }

    fn form(&self, action: &str, parameters: &[Parameter]) -> Form {
        let common = [
            ("Action", action.to_owned()),
            ("Nonce", NONCE.fetch_add(1, Ordering::Relaxed).to_string()),
            ("SecretId", self.secret_id.clone()),
            ("Timestamp", self.now.to_string()),
        ];
        let mut fields: Vec<_> =
            common.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        for ([name, _], value) in parameters {
            match value {
                Value::Array(items) => fields.extend(
                    items.iter().enumerate().map(|(n, item)| (format!("{name}.{n}"), plain(item))),
                ),
                value => fields.push(((*name).to_owned(), plain(value))),
            }
        }
        Form {
            method: "POST".to_owned(),
            path: "/v2/index.php".to_owned(),
            host: self.authority.clone(),
            signed_host: self.authority.clone(),
            signed_method: "POST".to_owned(),
            fields,
            secret_key: self.secret_key.clone(),
            unsigned: Vec::new(),
            signature: None,
            encode: escaped,
        }
    }

    fn tc3(&self, action: &str, parameters: &[Parameter]) -> Tc3 {
        let key = (self.secret_id.as_str(), self.secret_key.as_str());
        let mut tc3 = Tc3::new("POST", &self.authority, key, action, self.now);
        let body: Map<_, _> = parameters
            .iter()
            .map(|([_, name], value)| ((*name).to_owned(), value.clone()))
            .collect();
        tc3.payload = Value::Object(body).to_string();
        tc3
    }
}

/// A value as a form has it.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
