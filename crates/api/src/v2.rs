//! API 2.0: the order in which a request is judged, and its answer.

mod answer;
mod carry_out;
mod common;
mod data;

pub(crate) use answer::{Answer, CONTENT_TYPE, failure};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use opencpm_domain::{Condition, Refusal, Span, Timestamp};
use opencpm_operations::authenticate::{Caller, KnownKey};
use opencpm_operations::reset_password::Unique;
use opencpm_operations::row::UsedNonce;
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::Edge;
use crate::action::{Access, Action, Context, Dialect, Input, decode_form};
use crate::edge::{Received, Trail};
use crate::form::Form;
use crate::signature::{self, Signed};
use common::Common;

/// Where API 2.0 is (contract section 1).
pub(crate) const PATH: &str = "/v2/index.php";

/// Judges and carries out one request. The first step that fails answers (contract 7.1); size
/// and method were looked at before.
pub(crate) async fn judge(
    edge: &Edge,
    request: &Received,
    trail: &mut Trail,
) -> Result<Answer, Refusal> {
    let service = edge.service();
    let form = Form::decode(&request.encoded)?; // 1
    let common = Common::read(&form)?; // 2
    let action = Action::named(common.action);
    trail.note(action, common.secret_id.as_ref());
    if let Some(client) = common.client {
        trail.note_client(client);
    }
    let key = service.known_key(common.known_secret_id()?).await?; // 3
    check_clock(edge, &common)?; // 4
    check_signature(edge, request, &form, &common, &key)?; // 5
    check_token(&common, &key)?; // 6
    let caller = &key.caller;
    let nonce = used_nonce(edge, &common, caller);
    if action.is_some_and(|action| action.mutates) {
        service.check_unused(&nonce).await?;
    }
    service.check_quota(caller, action.map(|action| action.operation)).await?; // 7
    let action = action.ok_or(Condition::UnknownAction)?; // 8
    caller.check_allowed(action.name(), action.access == Access::Admin)?;
    service.check_maintenance().await?;
    let settings = edge.settings();
    let given = decode_form(action, Dialect::V2, &form, settings.policy, settings.offset)?; // 9
    let unique = Unique::Nonce(nonce);
    let context = Context { now: edge.now(), offset: settings.offset, unique };
    let input = Input::new(action.operation, given, context)?;
    carry_out::carry_out(edge, caller, input).await // 10 to 13
}

fn check_clock(edge: &Edge, common: &Common<'_>) -> Result<(), Refusal> {
    let distance = edge.now().distance(Timestamp::from_secs(common.timestamp));
    if distance > edge.settings().clock_window {
        return Err(Condition::ClockSkew.into());
    }
    Ok(())
}

fn check_signature(
    edge: &Edge,
    request: &Received,
    form: &Form,
    common: &Common<'_>,
    key: &KnownKey,
) -> Result<(), Refusal> {
    let settings = edge.settings();
    let signed = Signed { method: request.method, host: &request.host, path: PATH, form };
    let at_sign_rule = settings.at_sign_rule && request.method == "POST";
    let verifies = STANDARD.decode(common.signature).is_ok_and(|signature| {
        let secret = key.secret.expose_secret();
        signed.verifies(common.algorithm, secret, &signature, at_sign_rule)
    });
    if verifies && is_our_host(&settings.hosts, &request.host) {
        Ok(())
    } else {
        Err(Condition::SignatureWrong.into())
    }
}

/// A signature for another host is not for this deployment (contract section 1).
fn is_our_host(hosts: &[String], host: &[u8]) -> bool {
    let names = [Some(host), signature::without_port(host)];
    let listed = |name: &[u8]| hosts.iter().any(|h| h.as_bytes().eq_ignore_ascii_case(name));
    hosts.is_empty() || names.into_iter().flatten().any(listed)
}

fn check_token(common: &Common<'_>, key: &KnownKey) -> Result<(), Refusal> {
    let right = match (&key.token_hash, common.token) {
        (None, None) => true,
        (Some(hash), Some(token)) => Sha256::digest(token).as_slice().ct_eq(hash).into(),
        _ => false,
    };
    if right { Ok(()) } else { Err(Condition::TokenWrong.into()) }
}

fn used_nonce(edge: &Edge, common: &Common<'_>, caller: &Caller) -> UsedNonce {
    let window = edge.settings().clock_window;
    UsedNonce {
        secret_id: caller.secret_id.clone(),
        timestamp: common.timestamp,
        nonce: common.nonce,
        expires: Timestamp::from_secs(common.timestamp) + window + Span::from_secs(1),
    }
}
