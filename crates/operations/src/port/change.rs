//! What is written as a whole, and what became of it.

use opencpm_domain::{AppId, InstanceId, Timestamp};

use super::store::DeploymentRow;
use crate::row::{
    Account, ApiKey, AttributeChanges, Attributes, AuditEntry, Device, DeviceAuthority, DeviceKey,
    EnrolmentToken, JobChange, Maintenance, Node, NodeToken, Sealing, Unique,
};

/// Everything that the first start writes, in one commit.
#[derive(Clone, Debug)]
pub struct FirstStart {
    /// The deployment.
    pub deployment: DeploymentRow,
    /// The first account.
    pub account: Account,
    /// Its first key.
    pub api_key: ApiKey,
    /// For the audit table.
    pub audit: AuditEntry,
}

/// An administrative request.
#[derive(Clone, Debug)]
pub struct AdminChange {
    /// What to change.
    pub what: Change,
    /// Who did it.
    pub audit: AuditEntry,
    /// What makes the request unique; `None` where nobody asked.
    pub unique: Option<Unique>,
}

/// What an administrator can change.
#[derive(Clone, Debug)]
pub enum Change {
    /// A new account.
    CreateAccount(Account),
    /// Name or block.
    ModifyAccount {
        /// Which.
        app_id: AppId,
        /// A new name; `None` leaves it as it is.
        name: Option<String>,
        /// Whether it is blocked; `None` leaves it as it is.
        blocked: Option<bool>,
    },
    /// A new key. The maker of a temporary one must still be there and enabled.
    CreateApiKey(ApiKey),
    /// Replaces a key's row. The temporary keys that a disabled one made are forgotten.
    ModifyApiKey(ApiKey),
    /// A new device, ahead of its enrolment or not.
    CreateDevice(Box<Device>),
    /// Changes the attributes that are given. The others stay as they are at that moment, so that
    /// of two changes at once neither undoes the other.
    ModifyAttributes(InstanceId, Box<AttributeChanges>),
    /// Replaces a device's signed part. Open jobs end as the changes say, the connection is cut.
    ModifyAuthority {
        /// What it is from now on.
        authority: DeviceAuthority,
        /// Under a row key.
        signature: [u8; 64],
        /// Ends of its open jobs.
        jobs: Vec<JobChange>,
    },
    /// A new token.
    CreateEnrolmentToken(EnrolmentToken),
    /// A new token for nodes.
    CreateNodeToken(NodeToken),
    /// Replaces a node's row.
    ModifyNode(Node),
    /// Maintenance; if it is under way, only its message changes.
    BeginMaintenance(Maintenance),
    /// No maintenance, whether or not there was one.
    EndMaintenance,
}

/// What became of an [`AdminChange`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Administered {
    /// Written, and durable.
    Done,
    /// The same signed request was used before; nothing was written.
    Replayed,
    /// What was to be created exists already; nothing was written.
    Exists,
    /// What was to be changed does not exist, or changed meanwhile; nothing was written.
    Missing,
}

/// An enrolment to be written.
#[derive(Clone, Debug)]
pub struct Enrolment {
    /// The token used.
    pub token: [u8; 32],
    /// By the API node's clock; decides whether the token has expired.
    pub now: Timestamp,
    /// The device's signed part from now on: new, or with a raised generation.
    pub authority: DeviceAuthority,
    /// Under a row key.
    pub signature: [u8; 64],
    /// The new identity key. The former one gets its `until`.
    pub key: DeviceKey,
    /// The first sealing key.
    pub sealing: Sealing,
    /// CBOR of the facts.
    pub facts: Vec<u8>,
    /// The agent's version.
    pub agent_version: String,
    /// Attributes of a new device; an existing one keeps its own.
    pub attributes: Attributes,
    /// Ends of the device's open jobs, when it is enrolled again.
    pub jobs: Vec<JobChange>,
    /// For the audit table.
    pub audit: AuditEntry,
}

/// What became of an [`Enrolment`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enrolled {
    /// Written, and durable.
    Done,
    /// The token is used up, expired or gone; nothing was written.
    TokenRefused,
    /// The device or its jobs changed meanwhile; nothing was written. Read again.
    Changed,
}

/// A node that joins.
#[derive(Clone, Debug)]
pub struct NodeJoin {
    /// The token used.
    pub token: [u8; 32],
    /// By the API node's clock; decides whether the token has expired.
    pub now: Timestamp,
    /// The node.
    pub node: Node,
    /// For the audit table.
    pub audit: AuditEntry,
}

/// What became of a [`NodeJoin`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeJoined {
    /// Written, and durable.
    Done,
    /// The token is used up, expired or gone; nothing was written.
    TokenRefused,
    /// The node is there already; nothing was written.
    Known,
}
