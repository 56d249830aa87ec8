use opencpm_domain::{Condition, Refusal, SecretId};

use crate::form::Form;
use crate::signature::Algorithm;

/// The common parameters (contract 2.1), present and of the right form.
pub(super) struct Common<'a> {
    pub(super) action: &'a str,
    /// `None` for a text that cannot be a key's id: as unknown as any other.
    pub(super) secret_id: Option<SecretId>,
    /// Unix seconds.
    pub(super) timestamp: u64,
    pub(super) nonce: u64,
    /// Base64, as sent.
    pub(super) signature: &'a str,
    pub(super) algorithm: Algorithm,
    pub(super) token: Option<&'a str>,
    /// What the client calls itself; for the log only.
    pub(super) client: Option<&'a str>,
}

impl<'a> Common<'a> {
    /// Presence of all first, then form.
    pub(super) fn read(form: &'a Form) -> Result<Self, Refusal> {
        let names = ["Action", "SecretId", "Timestamp", "Nonce", "Signature"];
        let [action, secret_id, timestamp, nonce, signature] = required(form, names)?;
        Ok(Self {
            action,
            secret_id: SecretId::parse(secret_id).ok(),
            timestamp: digits("Timestamp", timestamp)?,
            nonce: digits("Nonce", nonce)?,
            signature,
            algorithm: Algorithm::named(form.value("SignatureMethod")),
            token: present(form, "Token"),
            client: present(form, "RequestClient").or_else(|| present(form, "RequestSource")),
        })
    }

    pub(super) fn known_secret_id(&self) -> Result<&SecretId, Refusal> {
        self.secret_id.as_ref().ok_or_else(|| Condition::SecretIdUnknown.into())
    }
}

fn required<'a, const N: usize>(
    form: &'a Form,
    names: [&'static str; N],
) -> Result<[&'a str; N], Refusal> {
    let missing: Vec<_> = names.into_iter().filter(|name| present(form, name).is_none()).collect();
    if missing.is_empty() {
        return Ok(names.map(|name| present(form, name).unwrap_or_default()));
    }
    let message = format!("missing: {}", missing.join(", "));
    Err(Refusal::new(Condition::CommonParameterMissing, message))
}

/// Empty is as good as absent.
fn present<'a>(form: &'a Form, name: &str) -> Option<&'a str> {
    form.value(name).filter(|value| !value.is_empty())
}

/// 1 to 20 decimal digits that fit 64 bits (contract 2.1).
fn digits(name: &'static str, text: &str) -> Result<u64, Refusal> {
    let plain = text.len() <= 20 && text.bytes().all(|b| b.is_ascii_digit());
    let number = text.parse().ok().filter(|_| plain);
    number.ok_or_else(|| {
        let message = format!("{name}: 1 to 20 decimal digits that fit 64 bits are expected");
        Refusal::new(Condition::Malformed, message)
    })
}
