//! The order in which a request is judged, in both dialects. The first step that fails answers
//! (contract 7.1).

use opencpm_domain::{Condition, Refusal, TaskId, Timestamp};
use opencpm_operations::authenticate::KnownKey;
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::action::{Access, Action, Context, Input, Operation};
use crate::answer::Output;
use crate::asked::Asked;
use crate::carry_out::carry_out;
use crate::dialect::Dialect;
use crate::edge::Trail;
use crate::received::Received;
use crate::{Edge, signature, v2, v3};

/// Judges and carries out one request. Size and method were looked at before.
pub(crate) async fn judge(
    edge: &Edge,
    dialect: Dialect,
    request: &Received,
    trail: &mut Trail,
) -> Result<Output, Refusal> {
    let (service, settings) = (edge.service(), edge.settings());
    let asked = match dialect {
        Dialect::V2 => v2::read(request)?,
        Dialect::V3 => v3::read(request)?,
    }; // 1, 2
    trail.note(&asked);
    let secret_id = asked.secret_id.as_ref().ok_or(Condition::SecretIdUnknown)?;
    let key = service.known_key(secret_id).await?; // 3
    check_clock(edge, &asked)?; // 4
    check_signature(edge, request, &asked, &key)?; // 5
    check_token(&asked, &key)?; // 6
    let caller = &key.caller;
    let unique = asked.unique(caller, settings.clock_window);
    if let Some(action) = asked.action.filter(|action| action.mutates)
        && let Some(first) = service.check_unused(&unique).await?
    {
        return first_answer(action, first);
    }
    service.check_quota(caller, asked.action.map(|action| action.operation)).await?; // 7
    let action = asked.action.ok_or(Condition::UnknownAction)?; // 8
    if !asked.is_right_version {
        return Err(Condition::WrongVersion.into());
    }
    caller.check_allowed(action.name(), action.access == Access::Admin)?;
    key.check_maintenance(action.rests_in_maintenance())?;
    let given = asked.arguments(action, settings)?; // 9
    let context = Context { now: edge.now(), offset: settings.offset, unique };
    let input = Input::new(action.operation, given, context)?;
    carry_out(service, caller, input).await // 10 to 13
}

/// The same signed request again, in API 3.0: what it became, and nothing is done (contract 2.6).
fn first_answer(action: &Action, first: TaskId) -> Result<Output, Refusal> {
    match action.operation {
        Operation::ResetPassword => Ok(Output::Accepted(first)),
        // The action is not what the signature covers: somebody made another one of the request.
        _ => Err(Condition::Replayed.into()),
    }
}

fn check_clock(edge: &Edge, asked: &Asked<'_>) -> Result<(), Refusal> {
    let distance = edge.now().distance(Timestamp::from_secs(asked.timestamp));
    if distance > edge.settings().clock_window {
        return Err(Condition::ClockSkew.into());
    }
    Ok(())
}

fn check_signature(
    edge: &Edge,
    request: &Received,
    asked: &Asked<'_>,
    key: &KnownKey,
) -> Result<(), Refusal> {
    let settings = edge.settings();
    let verifies = asked.verifies(request, key.secret.expose_secret(), settings);
    if !verifies || !is_our_host(&settings.hosts, &request.host) {
        return Err(Condition::SignatureWrong.into());
    }
    // A read, caught on its way, must not become a change, nor one change another. The reset is
    // the contract's own, whose clients sign no action; no signed body of a read is one of a reset.
    let is_change = |a: &&Action| a.mutates && a.operation != Operation::ResetPassword;
    if asked.action.as_ref().is_some_and(is_change) && !asked.covers_everything(request) {
        let why = "this action needs X-TC-Action among the signed headers, and a signed payload";
        return Err(Refusal::new(Condition::SignatureWrong, why));
    }
    Ok(())
}

/// A signature for another host is not for this deployment (contract section 1).
fn is_our_host(hosts: &[String], host: &[u8]) -> bool {
    let names = [Some(host), signature::without_port(host)];
    let listed = |name: &[u8]| hosts.iter().any(|h| h.as_bytes().eq_ignore_ascii_case(name));
    hosts.is_empty() || names.into_iter().flatten().any(listed)
}

fn check_token(asked: &Asked<'_>, key: &KnownKey) -> Result<(), Refusal> {
    let right = match (&key.token_hash, &asked.token) {
        (None, None) => true,
        (Some(hash), Some(token)) => Sha256::digest(token.as_bytes()).as_slice().ct_eq(hash).into(),
        _ => false,
    };
    if right { Ok(()) } else { Err(Condition::TokenWrong.into()) }
}
