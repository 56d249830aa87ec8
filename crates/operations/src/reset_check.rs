//! Which devices of a request may be reset, and what is wrong with the others: the message names
//! every one of them (contract 7.1, steps 10 to 12, and the rule for several bad devices).

use std::collections::HashMap;
use std::sync::Arc;

use opencpm_domain::{
    Condition, InstanceId, Refusal, ResetRefusal, Sequence, Unreachable, check_reset_allowed,
};
use opencpm_protocol::key::SealingPublic;
use opencpm_protocol::report::SealingCertificate;
use opencpm_protocol::sign::Signed;

use crate::authentic::NotAuthentic;
use crate::authenticate::{Caller, NOT_OWN};
use crate::port::Keys;
use crate::refusal::store_refusal;
use crate::role::{ApiRole, Trust};
use crate::row::{Binding, DeviceAuthority, Identity, ResetCandidate, ResetCandidates};

/// A device that a password can be sealed to.
#[derive(Clone, Debug)]
pub struct ResetTarget {
    /// Which.
    pub instance: InstanceId,
    /// The identity key in force.
    pub identity: Identity,
    /// The generation of the sealing key.
    pub sealing_generation: opencpm_domain::Generation,
    /// The sealing key.
    pub sealing_key: SealingPublic,
    /// Where it is connected.
    pub binding: Binding,
    /// The highest sequence so far.
    pub highest_sequence: Sequence,
}

/// The targets in the order of the request, or one refusal that names every bad device. With
/// several, the first that applies of not found, not the key's own, wrong state, gateway lost,
/// agent not alive answers.
pub(crate) async fn check_candidates(
    role: &ApiRole,
    caller: &Caller,
    instances: &[InstanceId],
    candidates: ResetCandidates,
) -> Result<Vec<ResetTarget>, Refusal> {
    let ResetCandidates { now, any_gateway_alive, devices, .. } = candidates;
    let mut found: HashMap<_, _> =
        devices.into_iter().map(|d| (d.authority.instance.clone(), d)).collect();
    let asked: Vec<_> = instances.iter().map(|instance| found.remove(instance)).collect();
    let (caller, keys, trust) = (caller.clone(), Arc::clone(&role.keys), role.trust.now());
    // Two signatures for each device, and the MAC of a tag that lets it in.
    let checked = role.cores.spread(asked, move |device| {
        check_device(&caller, &*keys, &trust, device, now, any_gateway_alive)
    });
    let mut targets = Vec::with_capacity(instances.len());
    let mut bad: Vec<(&InstanceId, Condition, String)> = Vec::new();
    for (instance, checked) in instances.iter().zip(checked.await?) {
        match checked {
            Ok(target) => targets.push(target),
            Err((condition, why)) => bad.push((instance, condition, why)),
        }
    }
    if bad.is_empty() {
        return Ok(targets);
    }
    let refusal = refusal(&bad);
    if refusal.condition == Condition::GatewayLost {
        // Where the store takes no changes no gateway can renew its lease, whatever it is itself.
        role.store.check().await.map_err(store_refusal)?;
    }
    Err(refusal)
}

type Bad = (Condition, String);

fn check_device(
    caller: &Caller,
    keys: &dyn Keys,
    trust: &Trust,
    device: Option<ResetCandidate>,
    now: opencpm_domain::Timestamp,
    any_gateway_alive: bool,
) -> Result<ResetTarget, Bad> {
    let owned = device.filter(|d| d.authority.account == caller.app_id && !d.authority.retired);
    let device = owned.ok_or((Condition::NotFound, "there is no such device".to_owned()))?;
    let authority = &device.authority;
    trust
        .authenticity()
        .device(authority, &device.signature)
        .map_err(|forged| forgery(authority, Condition::NotFound, forged))?;
    if !caller.may_act_on(keys, &authority.instance, &device.tags) {
        return Err((Condition::DeviceNotAllowed, NOT_OWN.to_owned()));
    }
    check_reset_allowed(device.device_status, device.operate_status).map_err(wrong_state)?;
    if authority.quarantined {
        return not_alive("the device is quarantined: two machines use its identity");
    }
    let (Some(identity), Some(sealing)) = (&authority.identity, &device.sealing) else {
        return not_alive("its agent never enrolled");
    };
    let binding = device.connection.reach(now, any_gateway_alive).map_err(unreachable)?;
    let (sealing_generation, sealing_key) = sealing_key(&sealing.certificate, identity)
        .ok_or_else(|| forgery(authority, Condition::AgentNotAlive, NotAuthentic("sealing key")))?;
    Ok(ResetTarget {
        instance: authority.instance.clone(),
        identity: identity.clone(),
        sealing_generation,
        sealing_key,
        binding,
        highest_sequence: device.highest_sequence,
    })
}

/// Somebody wrote to the store: the operator must hear of it, not only the caller.
fn forgery(device: &DeviceAuthority, condition: Condition, forged: NotAuthentic) -> Bad {
    tracing::error!(instance = %device.instance, "{forged}");
    (condition, forged.to_string())
}

fn wrong_state(refusal: ResetRefusal) -> Bad {
    let condition = match refusal {
        ResetRefusal::Busy(_) => Condition::DeviceBusy,
        ResetRefusal::NotInOperation(_) | ResetRefusal::NotRunning(_) => {
            Condition::DeviceStateWrong
        }
    };
    (condition, refusal.to_string())
}

fn unreachable(why: Unreachable) -> Bad {
    let condition = match why {
        Unreachable::NoGateway | Unreachable::GatewayLost => Condition::GatewayLost,
        Unreachable::NotConnected => Condition::AgentNotAlive,
    };
    (condition, why.to_string())
}

/// The certified key, if the identity key in force vouches for it.
fn sealing_key(
    certificate: &[u8],
    identity: &Identity,
) -> Option<(opencpm_domain::Generation, SealingPublic)> {
    let signed = Signed::<SealingCertificate>::from_bytes(certificate).ok()?;
    let certificate = signed.verify(&identity.key).ok()?;
    let certified = certificate.identity == identity.key;
    certified.then_some((certificate.generation, certificate.key))
}

fn not_alive<T>(why: &str) -> Result<T, Bad> {
    Err((Condition::AgentNotAlive, why.to_owned()))
}

fn refusal(bad: &[(&InstanceId, Condition, String)]) -> Refusal {
    let order = [
        Condition::NotFound,
        Condition::DeviceNotAllowed,
        Condition::DeviceStateWrong,
        Condition::DeviceBusy,
        Condition::GatewayLost,
        Condition::AgentNotAlive,
    ];
    let applies = |condition: &Condition| bad.iter().any(|(_, c, _)| c == condition);
    let condition = order.into_iter().find(applies).unwrap_or(Condition::NotFound);
    let lines: Vec<_> = bad.iter().map(|(id, _, why)| format!("{id}: {why}")).collect();
    Refusal::new(condition, lines.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract 7.3, 9008 and 12006.
    #[test]
    fn a_lost_gateway_and_a_device_that_is_away_have_codes_of_their_own() {
        for (why, condition) in [
            (Unreachable::NoGateway, Condition::GatewayLost),
            (Unreachable::GatewayLost, Condition::GatewayLost),
            (Unreachable::NotConnected, Condition::AgentNotAlive),
        ] {
            assert_eq!(unreachable(why), (condition, why.to_string()));
        }
    }

    /// Contract 7.1: one code answers, the message lists all.
    #[test]
    fn of_several_bad_devices_the_first_code_that_applies_answers_and_all_are_named() {
        let order = [
            Condition::NotFound,
            Condition::DeviceNotAllowed,
            Condition::DeviceStateWrong,
            Condition::GatewayLost,
            Condition::AgentNotAlive,
        ];
        let ids: Vec<_> = ["cpm-a", "cpm-b", "cpm-c", "cpm-d", "cpm-e"]
            .map(InstanceId::parse)
            .into_iter()
            .flatten()
            .collect();
        let all: Vec<_> = ids.iter().zip(order).map(|(id, c)| (id, c, format!("{c:?}"))).collect();
        for first in 0..all.len() {
            let mut bad = all[first..].to_vec();
            bad.reverse();
            let refusal = refusal(&bad);
            assert_eq!(refusal.condition, order[first]);
            for (id, _, why) in bad {
                assert!(refusal.message.contains(&format!("{id}: {why}")), "{}", refusal.message);
            }
        }
    }
}
