use opencpm_domain::{
    AppId, Connection, DeviceStatus, Generation, InstanceId, MaintainStatus, OperateStatus,
    Sequence, Timestamp,
};
use opencpm_protocol::key::VerifyingKey;

use super::{Attributes, DeviceScope, Tag};

/// The part of a device that carries authority; signed under a row key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceAuthority {
    /// Which device.
    pub instance: InstanceId,
    /// Whose.
    pub account: AppId,
    /// The identity key in force; `None` before the first enrolment.
    pub identity: Option<Identity>,
    /// Out of service for good.
    pub retired: bool,
    /// Not to be trusted until somebody looked.
    pub quarantined: bool,
}

/// An identity key and its place among the device's keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Grows with each enrolment of the device.
    pub generation: Generation,
    /// Verifies what the machine signs.
    pub key: VerifyingKey,
}

/// The sealing key in force, certified by the identity key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealing {
    /// Its generation, as in the certificate.
    pub generation: Generation,
    /// CBOR of `Signed<SealingCertificate>`, as the machine sent it.
    pub certificate: Vec<u8>,
}

/// One identity key of a device, current or former. Append-only, signed under a row key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceKey {
    /// Whose.
    pub instance: InstanceId,
    /// Which and since which enrolment.
    pub identity: Identity,
    /// In force from.
    pub from: Timestamp,
    /// In force until; set once, not signed.
    pub until: Option<Timestamp>,
    /// Under a row key.
    pub signature: [u8; 64],
}

/// A device as the store has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// The signed part.
    pub authority: DeviceAuthority,
    /// Under a row key.
    pub signature: [u8; 64],
    /// For answers.
    pub attributes: Attributes,
    /// To which passwords are sealed.
    pub sealing: Option<Sealing>,
    /// The highest sequence given to it or reported by it.
    pub highest_sequence: Sequence,
    /// CBOR of the facts that the agent told last.
    pub facts: Option<Vec<u8>>,
    /// The agent's version, as it told.
    pub agent_version: String,
    /// When a connection of it was last made or ended.
    pub last_seen: Option<Timestamp>,
    /// Where it is connected.
    pub connection: Connection,
    /// True while it has an open job: then it shows operate status 11.
    pub has_open_job: bool,
}

/// What a reset needs to know of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResetCandidate {
    /// The device.
    pub authority: DeviceAuthority,
    /// Under a row key.
    pub signature: [u8; 64],
    /// Where it is in its life.
    pub device_status: DeviceStatus,
    /// What is being done to it; `ResettingPassword` with an open job.
    pub operate_status: OperateStatus,
    /// To which the password is sealed.
    pub sealing: Option<Sealing>,
    /// The highest sequence given to it or reported by it.
    pub highest_sequence: Sequence,
    /// Where it is connected.
    pub connection: Connection,
    /// Labels: a key may be limited to some.
    pub tags: Vec<Tag>,
}

/// The answer to the question what can be reset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResetCandidates {
    /// The store's clock.
    pub now: Timestamp,
    /// Whether any gateway at all has a valid lease.
    pub any_gateway_alive: bool,
    /// The highest task id so far.
    pub last_task: Option<opencpm_domain::TaskId>,
    /// The devices that exist, in any order.
    pub devices: Vec<ResetCandidate>,
}

/// Sort fields of the device list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum DeviceSort {
    /// The id.
    #[default]
    InstanceId,
    /// The alias.
    Alias,
    /// The private address, as text.
    LanIp,
    /// The subnet's number.
    SubnetId,
    /// Delivery.
    DeliverTime,
    /// Expiry.
    Deadline,
}

/// The order of the device list. Equal values, and devices of which the field is not known, are in
/// the ascending order of their ids, in both directions; what is not known counts as smallest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct DeviceOrder {
    /// The field.
    pub by: DeviceSort,
    /// Largest first.
    pub descending: bool,
}

/// Filters of the device list, joined by AND; an empty list or `None` does not filter.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct DeviceQuery {
    /// The caller's account; `None` for administrators. Without it only ids and addresses are
    /// looked up in an index.
    pub account: Option<AppId>,
    /// Only devices inside of this.
    pub within: Option<DeviceScope>,
    /// Exact ids.
    pub instances: Vec<InstanceId>,
    /// Exact private addresses.
    pub lan_ips: Vec<String>,
    /// Exact public addresses.
    pub wan_ips: Vec<String>,
    /// Exact management addresses.
    pub mgt_ips: Vec<String>,
    /// Substring, any case.
    pub alias: Option<String>,
    /// What the alias begins with, in any case.
    pub alias_prefix: Option<String>,
    /// Substring of an address.
    pub vague_ip: Option<String>,
    /// Expiry, inclusive.
    pub deadline_from: Option<Timestamp>,
    /// Expiry, inclusive.
    pub deadline_to: Option<Timestamp>,
    /// Renewed without asking.
    pub auto_renew: Option<bool>,
    /// Networks, old numbers.
    pub vpc_ids: Vec<u64>,
    /// Subnets, old numbers.
    pub subnet_ids: Vec<u64>,
    /// Networks.
    pub un_vpc_ids: Vec<String>,
    /// Subnets.
    pub un_subnet_ids: Vec<String>,
    /// Class, old name.
    pub device_class: Option<String>,
    /// Class.
    pub device_class_code: Option<String>,
    /// Project.
    pub project_id: Option<u64>,
    /// Device statuses.
    pub statuses: Vec<DeviceStatus>,
    /// Type.
    pub device_type: Option<String>,
    /// Is a device at a special price.
    pub is_lucky: Option<bool>,
    /// State of its maintenance.
    pub maintain_status: Option<MaintainStatus>,
    /// Labels; each of these must be there.
    pub tags: Vec<TagFilter>,
    /// Also devices that were retired.
    pub retired: bool,
    /// Order.
    pub order: DeviceOrder,
    /// Skip so many.
    pub offset: u64,
    /// At most so many.
    pub limit: u64,
}

/// A tag that a device must have: this key with any of these values; with any value at all where
/// none are given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagFilter {
    /// Name.
    pub key: String,
    /// Values.
    pub values: Vec<String>,
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// How many match in all.
    pub total: u64,
    /// This part.
    pub items: Vec<T>,
}
