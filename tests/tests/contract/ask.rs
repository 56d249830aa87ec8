//! One request in all the ways to send it: right in every point until a case makes it wrong.

use std::rc::Rc;

use opencpm_tests::wire::{Form, Message, Tc3, escaped};
use serde_json::{Map, Value};

/// The two ways to ask for the same operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Dialect {
    V2,
    V3,
}

/// How a request is sent and signed (contract section 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    V2Get,
    V2Post,
    V1Get,
    V1Post,
    Tc3Get,
    Tc3Post,
}

pub(crate) const V2: &[Way] = &[Way::V2Get, Way::V2Post];
pub(crate) const V1: &[Way] = &[Way::V1Get, Way::V1Post];
pub(crate) const TC3: &[Way] = &[Way::Tc3Get, Way::Tc3Post];
pub(crate) const JSON: &[Way] = &[Way::Tc3Post];
pub(crate) const V3: &[Way] = &[Way::V1Get, Way::V1Post, Way::Tc3Get, Way::Tc3Post];
/// Everything in a form.
pub(crate) const FORMS: &[Way] = &[Way::V2Get, Way::V2Post, Way::V1Get, Way::V1Post];
/// The parameters in a form, whatever the signature.
pub(crate) const ENCODED: &[Way] = &[Way::V2Get, Way::V2Post, Way::V1Get, Way::V1Post, Way::Tc3Get];
pub(crate) const ALL: &[Way] =
    &[Way::V2Get, Way::V2Post, Way::V1Get, Way::V1Post, Way::Tc3Get, Way::Tc3Post];
/// One for each dialect.
pub(crate) const BOTH: &[Way] = &[Way::V2Post, Way::Tc3Post];

impl Way {
    pub(crate) fn dialect(self) -> Dialect {
        match self {
            Self::V2Get | Self::V2Post => Dialect::V2,
            _ => Dialect::V3,
        }
    }

    pub(crate) fn method(self) -> &'static str {
        match self {
            Self::V2Get | Self::V1Get | Self::Tc3Get => "GET",
            _ => "POST",
        }
    }

    fn is_tc3(self) -> bool {
        matches!(self, Self::Tc3Get | Self::Tc3Post)
    }
}

impl Dialect {
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::V2 => "/v2/index.php",
            Self::V3 => "/",
        }
    }
}

/// Who sends it, where, and when.
pub(crate) struct Sender {
    pub(crate) authority: String,
    pub(crate) secret_id: String,
    pub(crate) secret_key: String,
    pub(crate) token: Option<String>,
    /// Unix seconds.
    pub(crate) now: u64,
    pub(crate) nonce: String,
}

#[derive(Clone)]
enum Change {
    Form(Rc<dyn Fn(&mut Form)>),
    Tc3(Rc<dyn Fn(&mut Tc3)>),
    Message(Rc<dyn Fn(&mut Message)>),
}

/// A request in the making. Names of parameters are those of API 2.0.
#[derive(Clone)]
pub(crate) struct Ask {
    action: [&'static str; 2],
    pub(crate) fields: Vec<(String, String)>,
    /// In place of the fields, where the parameters are JSON.
    json: Option<String>,
    /// The name of a key of the target.
    pub(crate) key: &'static str,
    /// Seconds from now.
    shift: i64,
    /// Common parameters and their values; `None` for one to leave out.
    common: Vec<(&'static str, Option<String>)>,
    changes: Vec<Change>,
}

pub(crate) fn reset() -> Ask {
    ask("ResetDevicePasswd", "ResetDevicePassword")
        .with("instanceIds.0", "<alive>")
        .with("passwd", "abce1234")
}

pub(crate) fn result() -> Ask {
    ask("DescriptionOperationResult", "DescribeOperationResult").with("taskId", "<task>")
}

pub(crate) fn devices() -> Ask {
    ask("DescribeDevice", "DescribeDevices")
}

/// Of the device whose task [`result`] asks for.
pub(crate) fn log() -> Ask {
    ask("DescribeDeviceOperationLog", "DescribeDeviceOperationLog").with("instanceId", "<worked>")
}

/// API 2.0 only.
pub(crate) fn agents() -> Ask {
    ask("DescribeBmAgentStatus", "DescribeBmAgentStatus")
}

pub(crate) fn ask(v2: &'static str, v3: &'static str) -> Ask {
    Ask {
        action: [v2, v3],
        fields: Vec::new(),
        json: None,
        key: "main",
        shift: 0,
        common: Vec::new(),
        changes: Vec::new(),
    }
}

impl Ask {
    /// Adds a parameter of the action, or replaces the one of this name.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.fields.retain(|(known, _)| known != name);
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.fields.retain(|(known, _)| known != name);
        self
    }

    /// The JSON body, where there is one.
    pub(crate) fn json(mut self, body: &str) -> Self {
        self.json = Some(body.to_owned());
        self
    }

    pub(crate) fn by(mut self, key: &'static str) -> Self {
        self.key = key;
        self
    }

    /// Signed and sent as if it were so many seconds later.
    pub(crate) fn later(mut self, seconds: i64) -> Self {
        self.shift = seconds;
        self
    }

    /// A common parameter: a field of a form, a header under TC3.
    pub(crate) fn common(mut self, name: &'static str, value: &str) -> Self {
        self.common.push((name, Some(value.to_owned())));
        self
    }

    pub(crate) fn without_common(mut self, name: &'static str) -> Self {
        self.common.push((name, None));
        self
    }

    /// Changes it before it is signed, where it is a form.
    pub(crate) fn form(mut self, change: impl Fn(&mut Form) + 'static) -> Self {
        self.changes.push(Change::Form(Rc::new(change)));
        self
    }

    /// Changes it before it is signed, where it is TC3.
    pub(crate) fn tc3(mut self, change: impl Fn(&mut Tc3) + 'static) -> Self {
        self.changes.push(Change::Tc3(Rc::new(change)));
        self
    }

    /// Changes it after it was signed.
    pub(crate) fn sent(mut self, change: impl Fn(&mut Message) + 'static) -> Self {
        self.changes.push(Change::Message(Rc::new(change)));
        self
    }

    /// Adds raw text to the encoded parameters after it was signed.
    pub(crate) fn tail(self, text: &'static str) -> Self {
        self.sent(move |message| match message.method.as_str() {
            "GET" => message.target.push_str(text),
            _ => message.body.extend_from_slice(text.as_bytes()),
        })
    }

    /// The texts that may name something of the target.
    pub(crate) fn texts(&mut self) -> impl Iterator<Item = &mut String> {
        self.fields.iter_mut().map(|(_, value)| value).chain(&mut self.json)
    }

    /// Signs it.
    pub(crate) fn message(&self, way: Way, sender: &Sender) -> Message {
        let mut message = match way.is_tc3() {
            true => self.tc3_message(way, sender),
            false => self.form_message(way, sender),
        };
        for change in &self.changes {
            if let Change::Message(change) = change {
                change(&mut message);
            }
        }
        message
    }

    fn form_message(&self, way: Way, sender: &Sender) -> Message {
        let dialect = way.dialect();
        let mut form = Form {
            method: way.method().to_owned(),
            path: dialect.path().to_owned(),
            host: sender.authority.clone(),
            signed_host: sender.authority.clone(),
            signed_method: way.method().to_owned(),
            fields: Vec::new(),
            secret_key: sender.secret_key.clone(),
            unsigned: Vec::new(),
            signature: None,
            encode: escaped,
        };
        form.set("Action", self.action[dialect as usize]);
        form.set("SecretId", &sender.secret_id);
        form.set("Timestamp", &sender.now.saturating_add_signed(self.shift).to_string());
        form.set("Nonce", &sender.nonce);
        if dialect == Dialect::V3 {
            form.set("Version", "2018-04-23");
        }
        if let Some(token) = &sender.token {
            form.set("Token", token);
        }
        form.fields.extend(self.fields.iter().map(|(n, v)| (name_in(dialect, n), v.clone())));
        for (name, value) in &self.common {
            match value {
                Some(value) => form.set(name, value),
                None if *name == "Signature" => form.signature = Some(String::new()),
                None => form.remove(name),
            }
        }
        for change in &self.changes {
            if let Change::Form(change) = change {
                change(&mut form);
            }
        }
        form.message()
    }

    fn tc3_message(&self, way: Way, sender: &Sender) -> Message {
        let at = sender.now.saturating_add_signed(self.shift);
        let key = (sender.secret_id.as_str(), sender.secret_key.as_str());
        let mut tc3 = Tc3::new(way.method(), &sender.authority, key, self.action[1], at);
        tc3.payload = match (&self.json, way) {
            (Some(json), Way::Tc3Post) => json.clone(),
            (None, Way::Tc3Post) => as_json(&self.fields),
            _ => {
                let pairs = self.fields.iter().map(|(name, value)| {
                    format!("{}={}", escaped(&name_in(Dialect::V3, name)), escaped(value))
                });
                pairs.collect::<Vec<_>>().join("&")
            }
        };
        if let Some(token) = &sender.token {
            tc3.set("X-TC-Token", token);
        }
        for (name, value) in &self.common {
            match (*name, value) {
                ("SecretId", Some(value)) => tc3.secret_id.clone_from(value),
                (name, Some(value)) => tc3.set(&format!("X-TC-{name}"), value),
                (name, None) => tc3.remove(&format!("X-TC-{name}")),
            }
        }
        for change in &self.changes {
            if let Change::Tc3(change) = change {
                change(&mut tc3);
            }
        }
        tc3.message()
    }
}

/// API 3.0 begins all names in upper case, and has three of its own (contract section 4).
fn name_in(dialect: Dialect, name: &str) -> String {
    match (dialect, name) {
        (Dialect::V2, _) => name.to_owned(),
        (_, "passwd") => "Password".to_owned(),
        (_, "unVpcId") => "VpcId".to_owned(),
        (_, "unSubnetId") => "SubnetId".to_owned(),
        (_, name) => name[..1].to_ascii_uppercase() + &name[1..],
    }
}

/// What API 3.0 writes as JSON numbers.
const INTEGERS: [&str; 6] = ["taskId", "offset", "limit", "autoRenewFlag", "order", "appId"];

fn as_json(fields: &[(String, String)]) -> String {
    let mut object = Map::new();
    for (name, value) in fields {
        match name.split_once('.') {
            Some((list, _)) => {
                let list = object.entry(name_in(Dialect::V3, list)).or_insert(Value::Array(vec![]));
                list.as_array_mut().expect("a list").push(value.as_str().into());
            }
            None => {
                let digits = value.bytes().all(|b| b.is_ascii_digit());
                let is_integer = digits && INTEGERS.contains(&name.as_str());
                let number = value.parse::<u64>().ok().filter(|_| is_integer);
                let value = number.map_or_else(|| value.as_str().into(), Value::from);
                object.insert(name_in(Dialect::V3, name), value);
            }
        }
    }
    Value::Object(object).to_string()
}
