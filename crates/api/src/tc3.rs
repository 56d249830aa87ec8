//! The signature of API 3.0, TC3-HMAC-SHA256 (contract 2.3, 2.4).

use hmac::{Hmac, KeyInit, Mac};
use opencpm_domain::{Condition, Refusal, Timestamp, hex_to_bytes, to_hex};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::moment;
use crate::received::Received;
use crate::settings::Settings;
use crate::signature::host_candidates;

/// What an `Authorization` of this kind begins with.
pub(crate) const ALGORITHM: &str = "TC3-HMAC-SHA256";

pub(crate) const ACTION: &str = "x-tc-action";
pub(crate) const TIMESTAMP: &str = "x-tc-timestamp";
pub(crate) const CONTENT_SHA256: &str = "x-tc-content-sha256";

/// In place of the payload, where a client does not want to hash it.
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// Every signature covers at least these.
const ALWAYS_SIGNED: [&str; 2] = ["content-type", "host"];

/// The `Authorization` header, taken apart.
pub(crate) struct Authorization {
    pub(crate) secret_id: String,
    date: String,
    service: String,
    /// In lower case, as listed.
    signed_headers: Vec<String>,
    pub(crate) signature: [u8; 32],
}

impl Authorization {
    /// Takes the header's value apart: `TC3-HMAC-SHA256 Credential=<SecretId>/<date>/<service>/
    /// tc3_request, SignedHeaders=<a;b>, Signature=<64 hex>`.
    pub(crate) fn parse(text: &str) -> Result<Self, Refusal> {
        Self::read(text).ok_or_else(|| Condition::AuthorizationUnreadable.into())
    }

    fn read(text: &str) -> Option<Self> {
        let rest = text.strip_prefix(ALGORITHM)?.strip_prefix(' ')?;
        let mut parts = rest.split(',').map(str::trim);
        let credential = parts.next()?.strip_prefix("Credential=")?;
        let signed_headers = parts.next()?.strip_prefix("SignedHeaders=")?;
        let signature = parts.next()?.strip_prefix("Signature=")?;
        if parts.next().is_some() {
            return None;
        }
        let scope: Vec<_> = credential.split('/').collect();
        let [secret_id, date, service, "tc3_request"] = scope[..] else { return None };
        let signed_headers: Vec<_> =
            signed_headers.split(';').map(str::to_ascii_lowercase).collect();
        if !ALWAYS_SIGNED.iter().all(|name| signed_headers.iter().any(|h| h == name)) {
            return None;
        }
        let signature = hex_to_bytes(&signature.to_ascii_lowercase())?.try_into().ok()?;
        let [secret_id, date, service] = [secret_id, date, service].map(str::to_owned);
        Some(Self { secret_id, date, service, signed_headers, signature })
    }

    /// Whether a header is among the signed ones.
    pub(crate) fn covers(&self, header: &str) -> bool {
        self.signed_headers.iter().any(|name| name == header)
    }
}

/// True when the signature is one that this key makes for the request.
pub(crate) fn verifies(
    authorization: &Authorization,
    request: &Received,
    timestamp: u64,
    key: &[u8],
    settings: &Settings,
) -> bool {
    let day = moment::utc_date(Timestamp::from_secs(timestamp));
    if authorization.date != day || !is_our_service(&authorization.service, &request.host) {
        return false;
    }
    let Some(payload) = payload_hash(request, settings) else { return false };
    let Some(key) = signing_key(key, authorization) else { return false };
    host_candidates(&request.host).any(|host| {
        [false, true].into_iter().any(|lower| {
            canonical_request(authorization, request, host, lower, &payload)
                .is_some_and(|hash| matches(authorization, request, &hash, &key))
        })
    })
}

/// `bm`, or what some SDKs take for it: the endpoint's text before the first dot.
fn is_our_service(service: &str, host: &[u8]) -> bool {
    let first = host.split(|b| *b == b'.').next().unwrap_or_default();
    service == "bm" || (!service.is_empty() && service.as_bytes() == first)
}

/// True where the signature leaves the payload out.
pub(crate) fn is_unsigned(request: &Received) -> bool {
    request.headers.get(CONTENT_SHA256).is_some_and(|value| value == UNSIGNED)
}

/// `None` where the payload is unsigned and the operator wants it signed.
fn payload_hash(request: &Received, settings: &Settings) -> Option<[u8; 32]> {
    let is_unsigned = is_unsigned(request);
    let payload = match request.method {
        _ if is_unsigned => UNSIGNED.as_bytes(),
        "POST" => &request.encoded,
        _ => &[],
    };
    (!is_unsigned || settings.unsigned_payload).then(|| Sha256::digest(payload).into())
}

/// The hash of the canonical request; `None` where a signed header is missing or there twice.
fn canonical_request(
    authorization: &Authorization,
    request: &Received,
    host: &[u8],
    lower: bool,
    payload: &[u8; 32],
) -> Option<[u8; 32]> {
    let mut names: Vec<_> = authorization.signed_headers.iter().map(String::as_str).collect();
    let listed = names.join(";");
    names.sort_unstable();
    let query = if request.method == "GET" { &*request.encoded } else { &[] };
    let mut hash = Sha256::new();
    for piece in [request.method.as_bytes(), b"\n/\n", query, b"\n"] {
        hash.update(piece);
    }
    for name in names {
        let value = signed_value(request, host, name)?.trim_ascii();
        let value = if lower { value.to_ascii_lowercase() } else { value.to_vec() };
        for piece in [name.as_bytes(), b":", &value, b"\n"] {
            hash.update(piece);
        }
    }
    for piece in ["\n", &listed, "\n", &to_hex(payload)] {
        hash.update(piece);
    }
    Some(hash.finalize().into())
}

fn signed_value<'a>(request: &'a Received, host: &'a [u8], name: &str) -> Option<&'a [u8]> {
    if name == "host" {
        return Some(host);
    }
    let mut values = request.headers.get_all(name).iter();
    let value = values.next()?;
    values.next().is_none().then(|| value.as_bytes())
}

fn matches(
    authorization: &Authorization,
    request: &Received,
    canonical_request: &[u8; 32],
    key: &[u8; 32],
) -> bool {
    let timestamp = request.headers.get(TIMESTAMP).map(|value| value.as_bytes());
    let Authorization { date, service, signature, .. } = authorization;
    let pieces = [
        ALGORITHM.as_bytes(),
        b"\n",
        timestamp.unwrap_or_default(),
        format!("\n{date}/{service}/tc3_request\n{}", to_hex(canonical_request)).as_bytes(),
    ]
    .concat();
    hmac(key, &pieces).is_some_and(|made| made.ct_eq(signature).into())
}

/// HMAC(HMAC(HMAC("TC3" + secret key, date), service), "tc3_request").
fn signing_key(secret: &[u8], authorization: &Authorization) -> Option<Zeroizing<[u8; 32]>> {
    let first = Zeroizing::new([b"TC3", secret].concat());
    let date = hmac(&first, authorization.date.as_bytes())?;
    let service = hmac(&*date, authorization.service.as_bytes())?;
    hmac(&*service, b"tc3_request")
}

/// Never `None`: HMAC takes keys of any length.
fn hmac(key: &[u8], message: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(message);
    Some(Zeroizing::new(mac.finalize().into_bytes().into()))
}

#[cfg(test)]
mod tests;
