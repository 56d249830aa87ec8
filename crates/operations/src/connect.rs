//! A device comes and goes: recognised by its identity key, bound to a connection, let go.

use std::collections::HashMap;

use opencpm_domain::{AppId, GatewayId, InstanceId, Span};
use opencpm_protocol::conversation::Recognised;
use opencpm_protocol::message::{Farewell, Hello, Welcome};

use crate::authentic::NotAuthentic;
use crate::port::{Bind, StoreError};
use crate::role::GatewayRole;
use crate::row::{Device, DeviceQuery, Sealing};

/// A device that may try to prove that it is itself.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The identity key in force.
    pub recognised: Recognised,
    /// Whose device it is.
    pub account: AppId,
}

/// A device is not let in.
#[derive(Debug, thiserror::Error)]
pub enum ConnectRefusal {
    /// Nobody knows it, or it never enrolled.
    #[error("the device is unknown or was never enrolled")]
    Unknown,
    /// It is out of service.
    #[error("the device was retired")]
    Retired,
    /// Its row was changed behind our back.
    #[error(transparent)]
    NotAuthentic(#[from] NotAuthentic),
}

impl ConnectRefusal {
    /// What to tell the peer.
    pub const fn farewell(&self) -> Farewell {
        match self {
            Self::Unknown | Self::NotAuthentic(_) => Farewell::NotRecognised,
            Self::Retired => Farewell::Retired,
        }
    }
}

/// A device, and whether it may try.
pub type Recognition = (InstanceId, Result<Candidate, ConnectRefusal>);

/// Looks up the identity keys that hellos must be signed with, of all devices that came together
/// in one call. One that is absent from the result is unknown.
pub async fn recognise(
    role: &GatewayRole,
    instances: Vec<InstanceId>,
) -> Result<Vec<Recognition>, StoreError> {
    let limit = instances.len() as u64;
    let query = DeviceQuery { instances, retired: true, limit, ..DeviceQuery::default() };
    let (_, page) = role.store.devices(&query).await?;
    // The row is checked to belong to this id.
    let recognise = |device: Device| (device.authority.instance.clone(), candidate(role, &device));
    Ok(page.items.into_iter().map(recognise).collect())
}

fn candidate(role: &GatewayRole, device: &Device) -> Result<Candidate, ConnectRefusal> {
    device.check(role.trust.now().authenticity())?;
    if device.authority.retired {
        return Err(ConnectRefusal::Retired);
    }
    let identity = device.authority.identity.as_ref().ok_or(ConnectRefusal::Unknown)?;
    let recognised = Recognised { identity: identity.key, generation: identity.generation };
    Ok(Candidate { recognised, account: device.authority.account })
}

/// A device whose hello verified.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// Its hello.
    pub hello: Hello,
    /// Whose it is.
    pub account: AppId,
}

/// A connection that is the device's own now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Which device.
    pub instance: InstanceId,
    /// Which of its connections.
    pub epoch: u64,
    /// The answer to its hello.
    pub welcome: Welcome,
}

/// Binds devices to connections of this gateway, all that arrived together in one call. A device
/// that is absent from the result is not bound: it changed its identity key meanwhile, or is
/// connected by a hello that it made later.
pub async fn bind(
    role: &GatewayRole,
    gateway: GatewayId,
    arrivals: Vec<Arrival>,
) -> Result<Vec<Bound>, StoreError> {
    let hellos = arrivals.iter().filter_map(|arrival| bind_row(&arrival.hello)).collect();
    let epochs = role.store.bind(gateway, hellos).await?;
    // Of several arrivals of one device, the last one counts.
    let latest: HashMap<_, _> = arrivals.iter().map(|a| (&a.hello.instance, a)).collect();
    let welcome = |(instance, epoch): (InstanceId, u64)| {
        let arrival = latest.get(&instance)?;
        let certificate = arrival.hello.sealing.read_unverified().ok()?;
        let welcome = Welcome {
            sealing_generation: certificate.generation,
            account: arrival.account,
            gateways: role.gateways.clone(),
        };
        Some(Bound { instance, epoch, welcome })
    };
    Ok(epochs.into_iter().filter_map(welcome).collect())
}

/// Ends connections; each clears only its own epoch.
pub async fn unbind(
    role: &GatewayRole,
    gateway: GatewayId,
    connections: Vec<(InstanceId, u64)>,
) -> Result<(), StoreError> {
    role.store.unbind(gateway, connections).await
}

fn bind_row(hello: &Hello) -> Option<Bind> {
    let certificate = hello.sealing.read_unverified().ok()?;
    Some(Bind {
        instance: hello.instance.clone(),
        identity_generation: hello.identity_generation,
        highest_sequence: hello.highest_sequence,
        sealing: Sealing {
            generation: certificate.generation,
            certificate: hello.sealing.to_bytes(),
        },
        facts: crate::enrol::facts_bytes(&hello.facts),
        agent_version: hello.facts.agent.clone(),
        boot: hello.boot.clone(),
        since_boot: hello.since_boot.map(Span::from_micros),
    })
}
