//! Targets of `cargo xtask fuzz`: each takes any bytes and says what holds for them. Here because
//! what they ask is private to this crate. `fuzz/README.md` lists all of them.

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use jiff::tz::Offset;
use opencpm_domain::{Condition, PasswordPolicy, Refusal, SecretId, Timestamp};
use opencpm_operations::row::{Unique, UsedNonce};

use crate::action::{ACTIONS, Action, Arguments, Context, Input};
use crate::action::{decode_form, decode_json};
use crate::asked::Parameters;
use crate::dialect::Dialect;
use crate::form::Form;
use crate::json::{Json, JsonError};
use crate::received::Received;
use crate::tc3::{self, Authorization};
use crate::{Settings, body, v2, v3};

/// What every piece of a password begins with in the inputs made here: no name and no id of ours
/// does, so that a message with it tells a secret.
const SECRET: &str = "xk9q";

/// Stands before the password in an input, and between the parts of a request (the record
/// separator of ASCII).
const PASSWORD_FOLLOWS: u8 = 0x1e;
const NEXT_PART: char = '\x1e';

/// Stands between the values of a header that is given more than once.
const NEXT_VALUE: char = '\x1d';

/// A query or a form: names are sorted, unique and without `_`, and what is decoded is so again
/// when it is encoded in another way. A refusal tells no piece of it.
pub fn form(encoded: &[u8]) {
    match Form::decode(encoded) {
        Ok(form) => {
            let fields: Vec<_> = form.fields().collect();
            assert!(fields.is_sorted_by(|a, b| a.0 < b.0));
            for (name, value) in &fields {
                assert!(!name.is_empty() && !name.contains('_'));
                assert_eq!(form.value(name), Some(*value));
            }
            let again = Form::decode(backwards(&form).as_bytes());
            assert!(again.is_ok_and(|again| again.fields().eq(form.fields())));
        }
        Err(error) => tells_no_secret(&error.into()),
    }
}

/// The action parameters of a form in either dialect, for every action: they are an input or are
/// refused, whatever their order and encoding, never as a defect of the server, and a password
/// that was not encoded is not told, however it was cut.
pub fn form_parameters(input: &[u8]) {
    let Some((&choice, input)) = input.split_first() else { return };
    let dialect = if choice < 128 { Dialect::V2 } else { Dialect::V3 };
    let action = &ACTIONS[usize::from(choice % 128) % ACTIONS.len()];
    let Some(encoded) = with_password(input, dialect) else { return };
    let form = match Form::decode(&encoded) {
        Ok(form) => form,
        Err(error) => return tells_no_secret(&error.into()),
    };
    let decoded = |form: &Form| {
        decode_form(action, dialect, form, PasswordPolicy::Seed, Offset::UTC)
            .and_then(|given| input_of(action, given))
    };
    let refusal = decoded(&form).err();
    refusal.iter().for_each(|refusal| is_the_callers(refusal, dialect));
    let again = Form::decode(backwards(&form).as_bytes()).map_err(Refusal::from);
    assert_eq!(again.and_then(|form| decoded(&form)).err(), refusal);
}

/// The JSON body of API 3.0: an object that any other reader takes for the same, or refused.
pub fn json(body: &[u8]) {
    let other = serde_json::from_slice::<serde_json::Value>(body);
    match Json::decode(body) {
        Ok(members) => {
            let ours = Json::Object(members);
            let theirs = other.as_ref().ok().filter(|value| value.is_object());
            assert!(
                body.is_empty() || theirs.is_some_and(|value| size_theirs(value) == size(&ours))
            );
            let text = written(&ours);
            let again = Json::decode(text.as_bytes()).map(Json::Object);
            assert!(again.is_ok_and(|again| written(&again) == text));
        }
        Err(error) => {
            match error {
                JsonError::Syntax { .. } => assert!(other.is_err()),
                JsonError::NoObject => assert!(!other.is_ok_and(|value| value.is_object())),
                JsonError::Twice | JsonError::TooMany => {}
            }
            tells_no_secret(&error.into());
        }
    }
}

/// The action parameters of a JSON body, for every action of API 3.0: they are an input or are
/// refused, whatever their order, never as a defect of the server.
pub fn json_parameters(input: &[u8]) {
    let Some((&choice, body)) = input.split_first() else { return };
    let actions: Vec<_> = ACTIONS.iter().filter(|action| action.name_v3.is_some()).collect();
    let Some(action) = actions.get(usize::from(choice) % actions.len().max(1)) else { return };
    let Ok(members) = Json::decode(body) else { return };
    let decoded = |members| {
        decode_json(action, members, PasswordPolicy::Seed, Offset::UTC)
            .and_then(|given| input_of(action, given))
    };
    // As text, because what is decoded is taken apart.
    let mut turned = members;
    turned.reverse();
    let text = written(&Json::Object(turned));
    let refusal = Json::decode(body).map_err(Refusal::from).and_then(decoded).err();
    refusal.iter().for_each(|refusal| is_the_callers(refusal, Dialect::V3));
    let again = Json::decode(text.as_bytes()).map_err(Refusal::from).and_then(decoded).err();
    assert_eq!(again.map(|again| again.condition), refusal.map(|refusal| refusal.condition));
}

/// The `Authorization` of TC3: the case of the signature does not matter, more than all of it is
/// refused, and so is one that covers too little.
pub fn tc3_authorization(text: &str) {
    match Authorization::parse(text) {
        Ok(authorization) => {
            assert!(["host", "content-type"].iter().all(|name| authorization.covers(name)));
            assert!(!authorization.secret_id.contains('/'));
            assert!(Authorization::parse(&format!("{text},")).is_err());
            let place = text.rfind('=').unwrap_or(0);
            let upper = text[..place].to_owned() + &text[place..].to_ascii_uppercase();
            let again = Authorization::parse(&upper).map(|again| again.signature);
            assert!(again.is_ok_and(|again| again == authorization.signature));
        }
        Err(refusal) => {
            assert_eq!(refusal, Condition::AuthorizationUnreadable.into());
        }
    }
}

/// A whole request of either dialect, up to its parameters: read or refused as the caller's
/// fault, without a piece of it; and under TC3 only what row L of contract 2.7 signed verifies.
pub fn request(input: &[u8]) {
    let Some((&choice, input)) = input.split_first() else { return };
    let Ok(input) = str::from_utf8(input) else { return };
    let request = received(choice, input);
    let dialect = if choice & 1 == 0 { Dialect::V2 } else { Dialect::V3 };
    let asked = match dialect {
        Dialect::V2 => v2::read(&request),
        Dialect::V3 => v3::read(&request),
    };
    assert!(asked.is_err() || !v3::is_a_look_around(&request) || dialect == Dialect::V2);
    let asked = match asked {
        Ok(asked) => asked,
        Err(refusal) => return is_the_callers(&refusal, dialect),
    };
    let settings = Settings { unsigned_payload: false, ..Settings::default() };
    let verifies =
        |request: &Received| asked.verifies(request, b"example-secret-key-0001", &settings);
    if matches!(asked.signed, Parameters::Tc3 { .. }) && verifies(&request) {
        let genuine = request.method == "POST" && *request.encoded == *ROW_L.as_bytes();
        assert!(genuine, "another request has the signature of row L");
        let longer = received(choice, &format!("{input} "));
        assert!(!verifies(&longer), "another body has the signature of row L");
    }
    if let Some(action) = asked.action
        && let Err(refusal) =
            asked.arguments(action, &settings).and_then(|given| input_of(action, given))
    {
        assert_ne!(refusal.condition, Condition::ServerBug, "{refusal}");
    }
}

/// Contract 2.7, row L.
const ROW_L: &str = r#"{"InstanceIds": ["cpm-34xs43xs", "cpm-3xwssdfx"], "Password": "abce1234"}"#;

/// The parts of an input: the host, headers, and the body or query.
fn received(choice: u8, input: &str) -> Received {
    const HEADERS: [&str; 8] = [
        "authorization",
        "content-type",
        tc3::ACTION,
        "x-tc-version",
        tc3::TIMESTAMP,
        "x-tc-token",
        "x-tc-requestclient",
        tc3::CONTENT_SHA256,
    ];
    let mut parts = input.splitn(HEADERS.len() + 2, NEXT_PART);
    let host = parts.next().unwrap_or_default().as_bytes().to_vec();
    let mut headers = HeaderMap::new();
    for name in HEADERS {
        let values = parts.next().unwrap_or_default().split(NEXT_VALUE);
        for value in values.filter(|value| !value.is_empty()) {
            // What the HTTP library lets through.
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.append(HeaderName::from_static(name), value);
            }
        }
    }
    let method = if choice & 2 == 0 { "POST" } else { "GET" };
    let encoded = body::Bytes::from(parts.next().unwrap_or_default());
    Received { method, host, headers, encoded }
}

fn input_of(action: &'static Action, given: Arguments) -> Result<Input, Refusal> {
    let now = Timestamp::from_secs(1_700_000_000);
    let secret_id = SecretId::parse("AKID").map_err(|_| Condition::ServerBug)?;
    let nonce = UsedNonce { secret_id, timestamp: 1_700_000_000, nonce: 1, expires: now };
    let context = Context { now, offset: Offset::UTC, unique: Unique::Nonce(nonce) };
    Input::new(action.operation, given, context)
}

/// The fields before [`PASSWORD_FOLLOWS`], and what follows as a password that nobody encoded:
/// each of its pieces is marked. `None` where a mark is among the other fields.
fn with_password(input: &[u8], dialect: Dialect) -> Option<Vec<u8>> {
    let mut pieces = input.splitn(2, |byte| *byte == PASSWORD_FOLLOWS);
    let fields = pieces.next().unwrap_or_default();
    let other = Form::decode(fields).ok();
    let marked = |text: &str| text.contains(SECRET);
    if other.is_none_or(|form| form.fields().any(|(n, v)| marked(n) || marked(v))) {
        return None;
    }
    let mut encoded = fields.to_vec();
    if let Some(password) = pieces.next() {
        let name = if dialect == Dialect::V2 { "&passwd=" } else { "&Password=" };
        encoded.extend_from_slice(name.as_bytes());
        encoded.extend_from_slice(SECRET.as_bytes());
        for byte in password {
            encoded.push(*byte);
            if *byte == b'&' {
                encoded.extend_from_slice(SECRET.as_bytes());
            }
        }
    }
    Some(encoded)
}

fn is_the_callers(refusal: &Refusal, dialect: Dialect) {
    let row = refusal.condition.row();
    assert_ne!(refusal.condition, Condition::ServerBug, "{refusal}");
    assert!(if dialect == Dialect::V2 { row.code.is_some() } else { row.code_v3.is_some() });
    tells_no_secret(refusal);
}

fn tells_no_secret(refusal: &Refusal) {
    assert!(!refusal.message.contains(SECRET), "a piece of a password is told");
}

/// The fields in the other order, all of their bytes encoded.
fn backwards(form: &Form) -> String {
    let hex = |text: &str| text.bytes().map(|b| format!("%{b:02x}")).collect::<String>();
    let mut pairs: Vec<_> =
        form.fields().map(|(name, value)| format!("{}={}", hex(name), hex(value))).collect();
    pairs.reverse();
    pairs.join("&")
}

/// How many values there are. The other reader keeps one of several members with one name.
fn size(value: &Json) -> usize {
    1 + match value {
        Json::List(list) => list.iter().map(size).sum(),
        Json::Object(members) => members.iter().map(|(_, value)| size(value)).sum(),
        _ => 0,
    }
}

fn size_theirs(value: &serde_json::Value) -> usize {
    1 + match value {
        serde_json::Value::Array(list) => list.iter().map(size_theirs).sum(),
        serde_json::Value::Object(members) => members.values().map(size_theirs).sum::<usize>(),
        _ => 0,
    }
}

/// JSON with the same meaning to us.
fn written(value: &Json) -> String {
    let text = |text: &str| serde_json::Value::from(text).to_string();
    match value {
        Json::Null => "null".to_owned(),
        Json::Bool => "true".to_owned(),
        Json::Integer(digits) => digits.clone(),
        Json::Fraction => "0.5".to_owned(),
        Json::Text(content) => text(content),
        Json::List(list) => format!("[{}]", list.iter().map(written).collect::<Vec<_>>().join(",")),
        Json::Object(members) => {
            let pairs = members.iter().map(|(n, value)| format!("{}:{}", text(n), written(value)));
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(","))
        }
    }
}
