//! The common parameters in a form: API 2.0, and v1 of API 3.0 (contract 2.1).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use opencpm_domain::{Condition, Refusal, SecretId};
use zeroize::Zeroizing;

use crate::action::Action;
use crate::asked::{Asked, Parameters};
use crate::dialect::{Dialect, VERSION};
use crate::form::Form;
use crate::signature::Algorithm;

/// Reads the common parameters: presence of all first, then form.
pub(crate) fn read(form: Form, dialect: Dialect) -> Result<Asked<'static>, Refusal> {
    let mut names = vec!["Action", "SecretId", "Timestamp", "Nonce", "Signature"];
    if dialect == Dialect::V3 {
        names.push("Version");
    }
    require(&names, |name| present(&form, name).is_some())?;
    let text = |name| present(&form, name).unwrap_or_default();
    let client = present(&form, "RequestClient").or_else(|| present(&form, "RequestSource"));
    Ok(Asked {
        dialect,
        action: Action::named(text("Action"), dialect),
        is_right_version: dialect == Dialect::V2 || text("Version") == VERSION,
        secret_id: SecretId::parse(text("SecretId")).ok(),
        timestamp: digits("Timestamp", text("Timestamp"))?,
        token: present(&form, "Token").map(|token| Zeroizing::new(token.to_owned())),
        client: client.map(str::to_owned),
        signed: Parameters::Form {
            algorithm: Algorithm::named(form.value("SignatureMethod")),
            signature: STANDARD.decode(text("Signature")).ok(),
            nonce: digits("Nonce", text("Nonce"))?,
            form,
        },
    })
}

/// Refuses a request that lacks some of these.
pub(crate) fn require(names: &[&str], is_there: impl Fn(&str) -> bool) -> Result<(), Refusal> {
    let missing: Vec<_> = names.iter().copied().filter(|name| !is_there(name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let message = format!("missing: {}", missing.join(", "));
    Err(Refusal::new(Condition::CommonParameterMissing, message))
}

/// 1 to 20 decimal digits that fit 64 bits (contract 2.1).
pub(crate) fn digits(name: &str, text: &str) -> Result<u64, Refusal> {
    let plain = text.len() <= 20 && text.bytes().all(|b| b.is_ascii_digit());
    let number = text.parse().ok().filter(|_| plain);
    number.ok_or_else(|| {
        let message = format!("{name}: 1 to 20 decimal digits that fit 64 bits are expected");
        Refusal::new(Condition::Malformed, message)
    })
}

/// Empty is as good as absent.
fn present<'a>(form: &'a Form, name: &str) -> Option<&'a str> {
    form.value(name).filter(|value| !value.is_empty())
}
