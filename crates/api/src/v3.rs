//! API 3.0: TC3 with its common parameters in headers, or v1 with everything in a form (contract
//! section 1, 2.3).

use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName};
use opencpm_domain::{Condition, Refusal, SecretId};
use zeroize::Zeroizing;

use crate::action::Action;
use crate::asked::{Asked, Encoded, Parameters};
use crate::common::{self, digits, require};
use crate::dialect::{Dialect, VERSION};
use crate::form::Form;
use crate::received::Received;
use crate::tc3::{self, Authorization};

const VERSION_HEADER: &str = "x-tc-version";
const TOKEN: &str = "x-tc-token";
const CLIENT: &str = "x-tc-requestclient";

/// Reads a request.
pub(crate) fn read(request: &Received) -> Result<Asked<'_>, Refusal> {
    if request.headers.get(AUTHORIZATION).is_some_and(|value| value.to_str().is_err()) {
        return Err(Condition::AuthorizationUnreadable.into());
    }
    let authorization = header(request, AUTHORIZATION.as_str())?;
    let is_json = request.method == "POST" && is_json(request)?;
    match authorization {
        Some(text) if text.starts_with(tc3::ALGORITHM) => read_tc3(request, text),
        // The SDKs' unsigned mode says SKIP.
        Some(_) if is_json => Err(Condition::AuthorizationUnreadable.into()),
        None if is_json => Err(missing_authorization()),
        _ => read_v1(request, authorization.is_some()),
    }
}

/// A browser that looks around: a GET that asks for no action.
pub(crate) fn is_a_look_around(request: &Received) -> bool {
    request.method == "GET"
        && [AUTHORIZATION.as_str(), tc3::ACTION].iter().all(|n| !request.headers.contains_key(*n))
        && Form::decode(&request.encoded)
            .is_ok_and(|form| ["Action", "Signature"].iter().all(|name| form.value(name).is_none()))
}

fn read_v1(request: &Received, has_authorization: bool) -> Result<Asked<'_>, Refusal> {
    let form = Form::decode(&request.encoded)?;
    if form.value("Signature").is_none() {
        return Err(match has_authorization {
            true => Condition::AuthorizationUnreadable.into(),
            false => missing_authorization(),
        });
    }
    common::read(form, Dialect::V3)
}

fn missing_authorization() -> Refusal {
    let message = "missing: Authorization, or Signature among the parameters";
    Refusal::new(Condition::CommonParameterMissing, message)
}

fn read_tc3<'a>(request: &'a Received, authorization: &str) -> Result<Asked<'a>, Refusal> {
    let encoded = match request.method {
        "GET" => Encoded::Query(Form::decode(&request.encoded)?),
        _ => Encoded::Body(&request.encoded),
    };
    let names = [tc3::ACTION, VERSION_HEADER, tc3::TIMESTAMP, TOKEN, CLIENT, tc3::CONTENT_SHA256];
    for name in names {
        header(request, name)?;
    }
    let there = |name: &str| header(request, name).ok().flatten().is_some_and(|v| !v.is_empty());
    require(&["X-TC-Action", "X-TC-Version", "X-TC-Timestamp"], there)?;
    if request.method == "POST" {
        require(&["Content-Type"], there)?;
        check_content_type(request)?;
    }
    let authorization = Authorization::parse(authorization)?;
    let text = |name| header(request, name).ok().flatten().unwrap_or_default();
    let some = |name| Some(text(name)).filter(|value| !value.is_empty());
    Ok(Asked {
        dialect: Dialect::V3,
        action: Action::named(text(tc3::ACTION), Dialect::V3),
        is_right_version: text(VERSION_HEADER) == VERSION,
        secret_id: SecretId::parse(&authorization.secret_id).ok(),
        timestamp: digits("X-TC-Timestamp", text(tc3::TIMESTAMP))?,
        token: some(TOKEN).map(|token| Zeroizing::new(token.to_owned())),
        client: some(CLIENT).map(str::to_owned),
        signed: Parameters::Tc3 { authorization, encoded },
    })
}

/// `application/json`, with or without parameters such as a charset (contract 2.3).
fn check_content_type(request: &Received) -> Result<(), Refusal> {
    if is_json(request)? {
        return Ok(());
    }
    Err(Refusal::new(Condition::Malformed, "Content-Type: application/json is expected"))
}

fn is_json(request: &Received) -> Result<bool, Refusal> {
    let content_type = header(request, CONTENT_TYPE.as_str())?.unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    Ok(essence.eq_ignore_ascii_case("application/json"))
}

/// The value of a header that may be given once.
fn header<'a>(request: &'a Received, name: &str) -> Result<Option<&'a str>, Refusal> {
    let malformed = |why| {
        let shown = HeaderName::from_bytes(name.as_bytes()).map(|n| n.to_string());
        Refusal::new(Condition::Malformed, format!("{}: {why}", shown.unwrap_or_default()))
    };
    let mut values = request.headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(malformed("it is given twice"));
    }
    value.to_str().map(Some).map_err(|_| malformed("visible ASCII characters are expected"))
}
