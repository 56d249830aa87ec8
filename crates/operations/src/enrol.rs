//! A machine becomes a device, or the same device again (design section 3, "Identity").

use std::net::IpAddr;

use opencpm_domain::{AppId, Ending, Generation, InstanceId, Timestamp};
use opencpm_protocol::message::{EnrolRequest, Enrolled, Facts, Farewell};
use opencpm_protocol::token::secret_hash;

use crate::authentic::{NotAuthentic, check_token, sign_device, sign_device_key};
use crate::port::{self, Enrolment, StoreError};
use crate::role::ApiRole;
use crate::row::{
    Attributes, AuditEntry, Connection, Device, DeviceAuthority, DeviceKey, DeviceQuery,
    EnrolmentToken, Identity, JobChange, Sealing,
};
use crate::sweep::ending;

/// The device or its jobs may change between reading and writing; a few rounds settle it.
const ROUNDS: usize = 4;

/// Characters of a machine's name that become a new device's alias: Linux allows no longer name
/// (`HOST_NAME_MAX`, gethostname(2)).
const LONGEST_ALIAS: usize = 64;

/// A machine is not enrolled.
#[derive(Debug, thiserror::Error)]
pub enum EnrolRefusal {
    /// Unknown, used up or expired.
    #[error("the enrolment token is unknown, used up or expired")]
    Token,
    /// Made for a device that is gone.
    #[error("the enrolment token was made for a device that is unknown or retired")]
    Device,
    /// A row was changed behind our back.
    #[error(transparent)]
    NotAuthentic(#[from] NotAuthentic),
    /// The request cannot be read or was signed for another installation.
    #[error("the enrolment request is not for this installation")]
    Request,
    /// The device has changed hands since the token was made, or the machine is one of another
    /// account.
    #[error("the device is of another account than the enrolment token")]
    OtherAccount,
    /// The identity key is that of another device than the token's.
    #[error("this machine is enrolled as another device than the token names")]
    OtherDevice,
    /// Later, perhaps.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Others kept changing the device.
    #[error("the device keeps changing; try again")]
    Contended,
}

impl EnrolRefusal {
    /// What to tell the peer.
    pub const fn farewell(&self) -> Farewell {
        match self {
            Self::Store(_) | Self::Contended => Farewell::Unavailable,
            _ => Farewell::TokenRefused,
        }
    }
}

/// Enrols a machine whose request's signatures verified. Idempotent by identity key: the same
/// machine that asks again gets the same answer and uses no token.
pub async fn enrol(
    role: &ApiRole,
    secret: &[u8; 32],
    request: &EnrolRequest,
) -> Result<Enrolled, EnrolRefusal> {
    if request.deployment != role.trust.now().deployment() {
        return Err(EnrolRefusal::Request);
    }
    let hash = secret_hash(secret);
    let token = role.store.enrolment_token(&hash).await?.ok_or(EnrolRefusal::Token)?;
    check_token(&*role.keys, &hash, &token)?;
    if let Some(device) = role.store.device_of_identity(&request.identity).await? {
        device.check(role.trust.now().authenticity())?;
        let identity = device.authority.identity.as_ref();
        if identity.is_none_or(|identity| identity.key != request.identity) {
            return Err(NotAuthentic("device").into());
        }
        return enrolled_before(role, &token, &device.authority);
    }
    if token.uses_left == 0 || role.clock.now() >= token.expires {
        return Err(EnrolRefusal::Token);
    }
    for _ in 0..ROUNDS {
        let enrolment = prepare(role, &token, request).await?;
        let authority = enrolment.authority.clone();
        match role.store.enrol(enrolment).await? {
            port::Enrolled::Done => {
                tracing::info!(instance = %authority.instance, "a machine enrolled");
                return Ok(answer(role, &authority));
            }
            port::Enrolled::TokenRefused => return Err(EnrolRefusal::Token),
            port::Enrolled::Changed => {}
        }
    }
    Err(EnrolRefusal::Contended)
}

/// The CBOR of a machine's facts, as rows keep it.
pub fn facts_bytes(facts: &Facts) -> Vec<u8> {
    // Writing to memory cannot fail, and no fact refuses to be encoded.
    minicbor::to_vec(facts).unwrap_or_default()
}

fn enrolled_before(
    role: &ApiRole,
    token: &EnrolmentToken,
    device: &DeviceAuthority,
) -> Result<Enrolled, EnrolRefusal> {
    if device.account != token.app_id {
        return Err(EnrolRefusal::OtherAccount);
    }
    if token.device.as_ref().is_some_and(|instance| *instance != device.instance) {
        return Err(EnrolRefusal::OtherDevice);
    }
    if device.retired {
        return Err(EnrolRefusal::Device);
    }
    Ok(answer(role, device))
}

async fn prepare(
    role: &ApiRole,
    token: &EnrolmentToken,
    request: &EnrolRequest,
) -> Result<Enrolment, EnrolRefusal> {
    let now = role.clock.now();
    let (authority, jobs) = match &token.device {
        Some(instance) => enrolled_again(role, token.app_id, instance, request, now).await?,
        None => (new_device(role, token.app_id, request), Vec::new()),
    };
    let certificate = request.sealing.read_unverified().map_err(|_| EnrolRefusal::Request)?;
    let identity = Identity { generation: generation(&authority), key: request.identity };
    Ok(Enrolment {
        token: token.hash,
        now,
        signature: sign_device(&*role.keys, &authority),
        key: DeviceKey {
            instance: authority.instance.clone(),
            signature: sign_device_key(&*role.keys, &authority.instance, &identity),
            identity,
            from: now,
            until: None,
        },
        sealing: Sealing {
            generation: certificate.generation,
            certificate: request.sealing.to_bytes(),
        },
        facts: facts_bytes(&request.facts),
        agent_version: request.facts.agent.clone(),
        attributes: attributes(&request.facts, now),
        jobs,
        audit: AuditEntry {
            at: now,
            secret_id: None,
            uin: None,
            action: "Enrol".to_owned(),
            subject: format!("device {}", authority.instance),
        },
        authority,
    })
}

/// The device with a raised generation, and the ends of its open jobs.
async fn enrolled_again(
    role: &ApiRole,
    account: AppId,
    instance: &InstanceId,
    request: &EnrolRequest,
    now: Timestamp,
) -> Result<(DeviceAuthority, Vec<JobChange>), EnrolRefusal> {
    let query = DeviceQuery { instances: vec![instance.clone()], limit: 1, ..<_>::default() };
    let (_, page) = role.store.devices(&query).await?;
    let device = page.items.into_iter().next().ok_or(EnrolRefusal::Device)?;
    device.check_is(instance, role.trust.now().authenticity())?;
    if device.authority.account != account {
        return Err(EnrolRefusal::OtherAccount);
    }
    let former = device.authority.identity.as_ref().map(|identity| identity.generation);
    let identity = Identity {
        generation: former.map_or(Generation::FIRST, Generation::next),
        key: request.identity,
    };
    let open = role.store.open_jobs(std::slice::from_ref(instance)).await?;
    let end = |row: crate::row::JobRow| {
        let state = row.state.end_unreported(Ending::ReEnrolled, now).ok()?;
        Some(ending(row.job, row.version, state))
    };
    let authority = DeviceAuthority { identity: Some(identity), ..device.authority };
    Ok((authority, open.into_iter().filter_map(end).collect()))
}

fn new_device(role: &ApiRole, account: AppId, request: &EnrolRequest) -> DeviceAuthority {
    let identity = Identity { generation: Generation::FIRST, key: request.identity };
    DeviceAuthority {
        instance: new_instance_id(role),
        account,
        identity: Some(identity),
        retired: false,
        quarantined: false,
    }
}

/// A device ahead of its enrolment, or without a machine yet.
pub(crate) fn blank_device(
    role: &ApiRole,
    instance: InstanceId,
    account: AppId,
    attributes: Attributes,
) -> Device {
    let authority =
        DeviceAuthority { instance, account, identity: None, retired: false, quarantined: false };
    Device {
        signature: sign_device(&*role.keys, &authority),
        authority,
        attributes,
        sealing: None,
        highest_sequence: opencpm_domain::Sequence::default(),
        facts: None,
        agent_version: String::new(),
        last_seen: None,
        connection: Connection::None,
        has_open_job: false,
    }
}

/// A made-up id; whether it is free shows when it is written.
pub(crate) fn new_instance_id(role: &ApiRole) -> InstanceId {
    InstanceId::from_random(role.random.bytes())
}

fn generation(authority: &DeviceAuthority) -> Generation {
    authority.identity.as_ref().map_or(Generation::FIRST, |identity| identity.generation)
}

/// What answers tell of a new device: only what looks like a name and an address, because the
/// machine says it itself.
fn attributes(facts: &Facts, now: Timestamp) -> Attributes {
    let mut addresses = facts.addresses.iter().filter_map(|a| a.parse::<IpAddr>().ok());
    Attributes {
        alias: facts.hostname.chars().filter(|c| !c.is_control()).take(LONGEST_ALIAS).collect(),
        lan_ip: addresses.next().map(|address| address.to_string()).unwrap_or_default(),
        deliver_time: Some(now),
        ..Attributes::default()
    }
}

fn answer(role: &ApiRole, device: &DeviceAuthority) -> Enrolled {
    Enrolled {
        instance: device.instance.clone(),
        account: device.account,
        identity_generation: generation(device),
        gateways: role.settings.gateways.clone(),
    }
}
