//! What is asked at an API node's door, and what comes back, in both dialects.

use std::fmt;
use std::time::Duration;

use opencpm_tests::wire::{Message, Tc3, exchange_within};
use opencpm_tests::{Client, fresh_nonce, unix_time};
use serde_json::{Value, json};

/// Of the contract, section 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    V2,
    V3,
}

/// Where clients ask, and with which key.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    authority: String,
    key: (String, String),
}

/// A signed request, to be sent once or again.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) dialect: Dialect,
    bytes: Vec<u8>,
}

/// What a client was told.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// `data`, or `Response`.
    Data(Value),
    /// An error of the API.
    Refused(Refusal),
    /// The connection was refused, broke, or nothing came.
    Nothing(String),
    /// Something that is no answer of the contract.
    Strange(String),
}

/// An error of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: String,
    pub(crate) message: String,
}

/// Longer than a healthy server needs, shorter than a client's patience: a client that waits for
/// long sends little.
const PATIENCE: Duration = Duration::from_secs(8);

impl Door {
    pub(crate) fn new(authority: String, key: (String, String)) -> Self {
        Self { authority, key }
    }

    /// A reset of these devices.
    pub(crate) fn reset(&self, dialect: Dialect, devices: &[&str], password: &str) -> Request {
        match dialect {
            Dialect::V2 => {
                let names: Vec<_> =
                    (0..devices.len()).map(|n| format!("instanceIds.{n}")).collect();
                let named = names.iter().map(String::as_str).zip(devices.iter().copied());
                let all: Vec<_> = named.chain([("passwd", password)]).collect();
                self.form("ResetDevicePasswd", &all)
            }
            Dialect::V3 => {
                let body = json!({"InstanceIds": devices, "Password": password});
                self.tc3("ResetDevicePassword", &body)
            }
        }
    }

    /// What became of a task.
    pub(crate) fn task(&self, dialect: Dialect, task: u64) -> Request {
        match dialect {
            Dialect::V2 => {
                self.form("DescriptionOperationResult", &[("taskId", &task.to_string())])
            }
            Dialect::V3 => self.tc3("DescribeOperationResult", &json!({"TaskId": task})),
        }
    }

    /// A read in API 2.0, which tells more.
    pub(crate) fn read(&self, action: &str, parameters: &[(&str, &str)]) -> Answer {
        self.send(&self.form(action, parameters))
    }

    /// Sends a request, which may have been signed at another door.
    pub(crate) fn send(&self, request: &Request) -> Answer {
        let reply = match exchange_within(&self.authority, &request.bytes, PATIENCE) {
            Ok(reply) => reply,
            Err(error) => return Answer::Nothing(error.to_string()),
        };
        let body: Option<Value> = serde_json::from_str(&reply.body).ok();
        let strange = || Answer::Strange(format!("HTTP {}: {:?}", reply.status, reply.body));
        let Some(body) = body.filter(|_| reply.status == 200) else { return strange() };
        match request.dialect {
            Dialect::V2 => Answer::of_v2(body),
            Dialect::V3 => Answer::of_v3(body),
        }
        .map_or_else(strange, Self::unless_unknown)
    }

    /// One that says that it knows nothing is no refusal: the same request is to be sent again.
    fn unless_unknown(answer: Answer) -> Answer {
        match answer {
            Answer::Refused(it) if it.message.contains("is not known") => {
                Answer::Nothing(it.message)
            }
            answer => answer,
        }
    }

    fn form(&self, action: &str, parameters: &[(&str, &str)]) -> Request {
        let http = format!("http://{}", self.authority);
        let client = Client::new(&http, &self.key.0, &self.key.1);
        let body = client.signed_form("POST", action, parameters, &fresh_nonce());
        let headers = [
            ("Host", self.authority.as_str()),
            ("Content-Type", "application/x-www-form-urlencoded"),
        ];
        let message = Message {
            method: "POST".to_owned(),
            target: "/v2/index.php".to_owned(),
            headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
            body: body.into_bytes(),
        };
        Request { dialect: Dialect::V2, bytes: message.bytes() }
    }

    fn tc3(&self, action: &str, body: &Value) -> Request {
        let key = (self.key.0.as_str(), self.key.1.as_str());
        let mut tc3 = Tc3::new("POST", &self.authority, key, action, unix_time());
        tc3.payload = body.to_string();
        Request { dialect: Dialect::V3, bytes: tc3.message().bytes() }
    }
}

impl Answer {
    fn of_v2(mut body: Value) -> Option<Self> {
        let code = body["code"].as_u64()?;
        if code == 0 {
            return Some(Self::Data(body["data"].take()));
        }
        let message = body["message"].as_str()?.to_owned();
        Some(Self::Refused(Refusal { code: code.to_string(), message }))
    }

    fn of_v3(mut body: Value) -> Option<Self> {
        let response = body["Response"].take();
        let error = &response["Error"];
        if error.is_null() {
            return response.is_object().then_some(Self::Data(response));
        }
        let (code, message) = (error["Code"].as_str()?, error["Message"].as_str()?);
        Some(Self::Refused(Refusal { code: code.to_owned(), message: message.to_owned() }))
    }
}

impl Refusal {
    /// The store or the broker is away: the server could not look.
    pub(crate) fn is_internal(&self) -> bool {
        ["9001", "9005", "9008", "InternalError"].contains(&self.code.as_str())
    }

    /// Used before, or a clock that is wrong: API 2.0 does not tell these apart.
    pub(crate) fn is_replay(&self) -> bool {
        ["4500", "AuthFailure.SignatureExpire"].contains(&self.code.as_str())
    }

    /// Something that a fault, or another reset under way, explains (contract 7.3).
    pub(crate) fn is_explained(&self) -> bool {
        const EXPLAINED: [&str; 5] = [
            "12002",
            "12006",
            "ResourceInUse.FlowBusy",
            "UnsupportedOperation.InvalidOperation",
            "FailedOperation.TscAgentOffline",
        ];
        self.is_internal() || self.is_replay() || EXPLAINED.contains(&self.code.as_str())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.message)
    }
}
