//! A case: a request in some ways, and what must come back each time.

use opencpm_domain::Condition;
use opencpm_tests::wire::Reply;
use serde_json::Value;

use crate::ask::{Ask, Dialect, Way};
use crate::target::Target;

/// What must come back.
#[derive(Clone)]
pub(crate) enum Expected {
    /// A success with these fields: where in `data` of API 2.0 or in `Response` of API 3.0, and
    /// what stands there.
    Done(Vec<(&'static str, Value)>),
    /// The code that the table of errors has for this.
    Refused(Condition),
    /// Another status than 200.
    Status(u16),
}

/// A row of the suite.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) ways: &'static [Way],
    pub(crate) ask: Ask,
    pub(crate) expected: Expected,
    /// What the message must hold.
    pub(crate) says: Vec<&'static str>,
    /// What it must not hold.
    pub(crate) hides: Vec<&'static str>,
}

/// More than one request: sent again, after a restart, only in part.
pub(crate) struct Story {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&Target) -> Result<(), Failure>,
}

/// Why a case did not pass.
pub(crate) enum Failure {
    /// The target has no such thing.
    Lacking(String),
    /// It does not keep the contract.
    Wrong(String),
}

impl From<String> for Failure {
    fn from(why: String) -> Self {
        Self::Wrong(why)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Wrong(error.to_string())
    }
}

impl Case {
    fn new(name: impl Into<String>, ways: &'static [Way], ask: Ask, expected: Expected) -> Self {
        Self { name: name.into(), ways, ask, expected, says: Vec::new(), hides: Vec::new() }
    }

    pub(crate) fn says(mut self, text: &'static str) -> Self {
        self.says.push(text);
        self
    }

    pub(crate) fn hides(mut self, text: &'static str) -> Self {
        self.hides.push(text);
        self
    }
}

pub(crate) fn done(name: impl Into<String>, ways: &'static [Way], ask: Ask) -> Case {
    Case::new(name, ways, ask, Expected::Done(Vec::new()))
}

/// A success that shows something.
pub(crate) fn shows(
    name: impl Into<String>,
    ways: &'static [Way],
    ask: Ask,
    fields: &[(&'static str, Value)],
) -> Case {
    Case::new(name, ways, ask, Expected::Done(fields.to_vec()))
}

pub(crate) fn refused(
    name: impl Into<String>,
    ways: &'static [Way],
    ask: Ask,
    condition: Condition,
) -> Case {
    Case::new(name, ways, ask, Expected::Refused(condition))
}

pub(crate) fn status(name: impl Into<String>, ways: &'static [Way], ask: Ask, status: u16) -> Case {
    Case::new(name, ways, ask, Expected::Status(status))
}

/// Judges an answer; a success returns its `data` or `Response`.
pub(crate) fn judged(
    reply: &Reply,
    dialect: Dialect,
    expected: &Expected,
) -> Result<Value, String> {
    match judge(reply, dialect, expected) {
        Ok(value) => Ok(value),
        Err(why) => Err(format!("{why}; got {} {:.600}", reply.status, reply.body)),
    }
}

fn judge(reply: &Reply, dialect: Dialect, expected: &Expected) -> Result<Value, String> {
    let want = match expected {
        Expected::Status(status) => *status,
        _ => 200,
    };
    ensure(reply.status == want, || format!("status {want} was expected"))?;
    let content_type = reply.header("content-type");
    ensure(content_type == Some("application/json"), || format!("content type {content_type:?}"))?;
    let mut json: Value = serde_json::from_str(&reply.body).map_err(|e| format!("no JSON: {e}"))?;
    match (expected, dialect) {
        (Expected::Status(405), _) => refusal(&json, dialect, Condition::UnsupportedProtocol),
        (Expected::Status(_), _) => Ok(Value::Null),
        (Expected::Refused(condition), _) => refusal(&json, dialect, *condition),
        (Expected::Done(fields), Dialect::V2) => {
            let head =
                [("/code", 0.into()), ("/message", "OK".into()), ("/codeDesc", "Success".into())];
            stand(&json, &head)?;
            let data = json["data"].take();
            stand(&data, fields).map(|()| data)
        }
        (Expected::Done(fields), Dialect::V3) => {
            let mut response = json["Response"].take();
            ensure(response.get("Error").is_none(), || "an error".to_owned())?;
            request_id(&response)?;
            response.as_object_mut().and_then(|members| members.remove("RequestId"));
            stand(&response, fields).map(|()| response)
        }
    }
}

/// The form of contract section 7, and nothing else.
fn refusal(json: &Value, dialect: Dialect, condition: Condition) -> Result<Value, String> {
    let row = condition.row();
    let want = format!("{condition:?} was expected");
    if dialect == Dialect::V2 {
        ensure(json["code"] == Value::from(row.code) && json["codeDesc"] == row.code_desc, || {
            want
        })?;
        let message = json["message"].as_str().unwrap_or_default();
        let number = format!("({})", json["code"]);
        ensure(message.starts_with(&number), || format!("the message does not begin {number}"))?;
        ensure(message.len() > number.len(), || "the message says nothing".to_owned())?;
        return members(json, 3).map(|()| Value::Null);
    }
    let response = &json["Response"];
    ensure(response["Error"]["Code"] == Value::from(row.code_v3), || want)?;
    let message = response["Error"]["Message"].as_str().unwrap_or_default();
    ensure(!message.is_empty(), || "the message says nothing".to_owned())?;
    request_id(response)?;
    members(json, 1)?;
    members(response, 2)?;
    members(&response["Error"], 2).map(|()| Value::Null)
}

/// A UUID (contract section 4).
fn request_id(response: &Value) -> Result<(), String> {
    let id = response["RequestId"].as_str().unwrap_or_default();
    let lengths: Vec<_> = id.split('-').map(str::len).collect();
    let hex = id.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit());
    ensure(hex && lengths == [8, 4, 4, 4, 12], || format!("RequestId {id:?}"))
}

fn stand(json: &Value, fields: &[(&str, Value)]) -> Result<(), String> {
    fields.iter().try_for_each(|(place, want)| {
        let found = json.pointer(place);
        ensure(found == Some(want), || format!("{place} is {found:?}, {want} was expected"))
    })
}

fn members(json: &Value, count: usize) -> Result<(), String> {
    let found = json.as_object().map_or(0, |members| members.len());
    ensure(found == count, || format!("{found} members, {count} were expected"))
}

pub(crate) fn ensure(right: bool, why: impl FnOnce() -> String) -> Result<(), String> {
    if right { Ok(()) } else { Err(why()) }
}
