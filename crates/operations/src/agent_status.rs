//! Which agents are there (contract 4.5).

use opencpm_domain::{InstanceId, Refusal, Timestamp};

use crate::authenticate::Caller;
use crate::describe_devices::describe_devices;
use crate::role::ApiRole;
use crate::row::{Connection, Device, DeviceQuery, Page};

/// Whether a device's agent can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Enrolled, and not connected.
    Away = 0,
    /// Connected to a gateway whose lease is valid.
    Connected = 1,
    /// Never enrolled.
    NeverEnrolled = 2,
}

/// One line of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentStatus {
    /// The device.
    pub instance: InstanceId,
    /// Whether it can be reached.
    pub presence: Presence,
    /// As the agent told; empty when it never did.
    pub version: String,
    /// When a connection of it was last made or ended.
    pub last_seen: Option<Timestamp>,
}

/// Lists the agents of the caller's devices.
pub async fn agent_status(
    role: &ApiRole,
    caller: &Caller,
    instances: Vec<InstanceId>,
    offset: u64,
    limit: u64,
) -> Result<Page<AgentStatus>, Refusal> {
    let query = DeviceQuery { instances, offset, limit, ..DeviceQuery::default() };
    let described = describe_devices(role, caller, query).await?;
    let items = described.page.items.iter().map(|d| status(d, described.now)).collect();
    Ok(Page { total: described.page.total, items })
}

fn status(device: &Device, now: Timestamp) -> AgentStatus {
    AgentStatus {
        instance: device.authority.instance.clone(),
        presence: device.presence(now),
        version: device.agent_version.clone(),
        last_seen: device.last_seen,
    }
}

impl Device {
    /// Whether the agent can be reached at this time of the store's clock.
    pub fn presence(&self, now: Timestamp) -> Presence {
        match (&self.authority.identity, self.connection) {
            (None, _) => Presence::NeverEnrolled,
            (Some(_), Connection::Bound { lease, .. }) if lease.is_valid(now) => {
                Presence::Connected
            }
            (Some(_), _) => Presence::Away,
        }
    }
}
