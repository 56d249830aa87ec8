//! Rows that carry authority are authenticated (design section 3): what exactly is signed or
//! MACed, and the checks.
//!
//! Each encoding is a CBOR array that starts with the table's name and the deployment, so that no
//! row can be taken for one of another table or installation.

use minicbor::Encoder;
use minicbor::encode::Error as EncodeError;
use opencpm_domain::{
    AppId, DeploymentId, Generation, InstanceId, JobId, SecretId, Sequence, TaskId,
};
use opencpm_protocol::key::VerifyingKey;
use std::convert::Infallible;
use subtle::ConstantTimeEq;

use crate::port::Keys;
use crate::row::{
    ApiKey, Device, DeviceAuthority, DeviceKey, DeviceScope, EnrolmentToken, Identity, JobRow,
    Node, NodeToken, Tag,
};

type Written = Result<(), EncodeError<Infallible>>;

/// A row in the store is not what the API role wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {0} in the store is not authentic: it was changed or moved")]
pub struct NotAuthentic(pub &'static str);

/// Checks signed rows with the row keys of the trust statement.
#[derive(Clone, Copy, Debug)]
pub struct Authenticity<'a> {
    /// Which installation.
    pub deployment: DeploymentId,
    /// Keys that may have signed.
    pub row_keys: &'a [VerifyingKey],
}

impl Authenticity<'_> {
    /// Checks a device's signed part.
    pub fn device(
        &self,
        authority: &DeviceAuthority,
        signature: &[u8; 64],
    ) -> Result<(), NotAuthentic> {
        self.check(&device_bytes(self.deployment, authority), signature, "device")
    }

    /// Checks a former or current identity key.
    pub fn device_key(&self, key: &DeviceKey) -> Result<(), NotAuthentic> {
        let bytes = device_key_bytes(self.deployment, &key.instance, &key.identity);
        self.check(&bytes, &key.signature, "device key")
    }

    fn check(
        &self,
        row: &[u8],
        signature: &[u8; 64],
        what: &'static str,
    ) -> Result<(), NotAuthentic> {
        let signed = self.row_keys.iter().any(|key| key.verify(row, signature).is_ok());
        if signed { Ok(()) } else { Err(NotAuthentic(what)) }
    }
}

/// Signs a device's authority.
pub fn sign_device(keys: &dyn Keys, authority: &DeviceAuthority) -> [u8; 64] {
    keys.sign_row(&device_bytes(keys.deployment(), authority))
}

/// Signs an identity key of a device.
pub fn sign_device_key(keys: &dyn Keys, instance: &InstanceId, identity: &Identity) -> [u8; 64] {
    keys.sign_row(&device_key_bytes(keys.deployment(), instance, identity))
}

/// The MAC of an API key's row.
pub fn api_key_mac(keys: &dyn Keys, key: &ApiKey) -> [u8; 32] {
    keys.mac("api key v2", &api_key_bytes(keys.deployment(), key))
}

/// Checks an API key's row. Rows of the first version, which knew no limit to some devices and no
/// key that makes others, keep their MAC until they are changed.
pub fn check_api_key(keys: &dyn Keys, key: &ApiKey) -> Result<(), NotAuthentic> {
    let first = key.scope.devices.is_none() && key.maker.is_none();
    let checked = same(&api_key_mac(keys, key), &key.mac, "API key");
    if first && checked.is_err() {
        let made = keys.mac("api key v1", &api_key_bytes_v1(keys.deployment(), key));
        return same(&made, &key.mac, "API key");
    }
    checked
}

/// The MAC of an enrolment token's row.
pub fn token_mac(keys: &dyn Keys, token: &EnrolmentToken) -> [u8; 32] {
    keys.mac("enrolment token v1", &token_bytes(keys.deployment(), token))
}

/// Checks that a row is authentic and that of the enrolment token with this hash: what a database
/// calls equal is said by whoever writes it.
pub fn check_token(
    keys: &dyn Keys,
    hash: &[u8; 32],
    token: &EnrolmentToken,
) -> Result<(), NotAuthentic> {
    let asked = EnrolmentToken { hash: *hash, ..token.clone() };
    same(&token_mac(keys, &asked), &token.mac, "enrolment token")
}

/// The MAC of a node token's row.
pub fn node_token_mac(keys: &dyn Keys, token: &NodeToken) -> [u8; 32] {
    let bytes = bytes(|e| {
        e.array(4)?.bytes(keys.deployment().as_bytes())?.bytes(&token.hash)?;
        e.encode(&token.names)?.u64(token.expires.as_micros())?.ok()
    });
    keys.mac("node token v1", &bytes)
}

/// Checks that a row is authentic and that of the node token with this hash.
pub fn check_node_token(
    keys: &dyn Keys,
    hash: &[u8; 32],
    token: &NodeToken,
) -> Result<(), NotAuthentic> {
    let asked = NodeToken { hash: *hash, ..token.clone() };
    same(&node_token_mac(keys, &asked), &token.mac, "node token")
}

/// The MAC of a node's row.
pub fn node_mac(keys: &dyn Keys, node: &Node) -> [u8; 32] {
    let bytes = bytes(|e| {
        e.array(4)?.bytes(keys.deployment().as_bytes())?.bytes(node.key.as_bytes())?;
        e.encode(&node.names)?.bool(node.revoked.is_some())?.ok()
    });
    keys.mac("node v1", &bytes)
}

/// Checks a node's row.
pub fn check_node(keys: &dyn Keys, node: &Node) -> Result<(), NotAuthentic> {
    same(&node_mac(keys, node), &node.mac, "node")
}

/// The MAC of a tag that this device of this account is given.
pub fn tag_mac(keys: &dyn Keys, account: AppId, instance: &InstanceId, tag: &Tag) -> [u8; 32] {
    let bytes = bytes(|e| {
        e.array(5)?.bytes(keys.deployment().as_bytes())?.u64(account.get())?;
        e.str(instance.as_str())?.str(&tag.key)?.str(&tag.value)?.ok()
    });
    keys.mac("device tag v1", &bytes)
}

/// Checks that the API role gave this tag to this device. A tag without a MAC is none of those.
pub fn check_tag(
    keys: &dyn Keys,
    account: AppId,
    instance: &InstanceId,
    tag: &Tag,
) -> Result<(), NotAuthentic> {
    let kept = tag.mac.as_ref().ok_or(NotAuthentic("tag"))?;
    same(&tag_mac(keys, account, instance, tag), kept, "tag")
}

/// What the API role decided when it made a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobOrigin<'a> {
    /// The task. Covered, so that an old success cannot be moved under a new task.
    pub task: TaskId,
    /// How many devices the task has. Covered, so that a failure cannot be taken out of it.
    pub devices: u32,
    /// The job.
    pub job: JobId,
    /// The device.
    pub instance: &'a InstanceId,
    /// The generation of its identity key. Covered, so that a key that was replaced by then
    /// proves nothing.
    pub identity_generation: Generation,
    /// The job's place in the device's order.
    pub sequence: Sequence,
}

/// The MAC of a job's origin.
pub fn job_mac(keys: &dyn Keys, origin: &JobOrigin<'_>) -> [u8; 32] {
    let bytes = bytes(|e| {
        e.array(7)?.bytes(keys.deployment().as_bytes())?.u64(origin.task.get())?;
        e.u32(origin.devices)?.bytes(origin.job.as_bytes())?.str(origin.instance.as_str())?;
        e.u32(origin.identity_generation.get())?.u64(origin.sequence.get())?.ok()
    });
    keys.mac("job v1", &bytes)
}

/// Checks that a job is as the API role made it.
pub fn check_job(keys: &dyn Keys, row: &JobRow) -> Result<(), NotAuthentic> {
    let origin = JobOrigin {
        task: row.task,
        devices: row.devices,
        job: row.job,
        instance: &row.instance,
        identity_generation: row.identity_generation,
        sequence: row.sequence,
    };
    same(&job_mac(keys, &origin), &row.mac, "job")
}

/// Compares two MACs in constant time.
fn same(made: &[u8; 32], kept: &[u8; 32], what: &'static str) -> Result<(), NotAuthentic> {
    if bool::from(made.ct_eq(kept)) { Ok(()) } else { Err(NotAuthentic(what)) }
}

impl Device {
    /// Checks the signed part of the row, and that it is the row of this device.
    pub fn check_is(
        &self,
        instance: &InstanceId,
        authenticity: Authenticity<'_>,
    ) -> Result<(), NotAuthentic> {
        if self.authority.instance == *instance {
            self.check(authenticity)
        } else {
            Err(NotAuthentic("device"))
        }
    }

    /// Checks the signed part of the row.
    pub fn check(&self, authenticity: Authenticity<'_>) -> Result<(), NotAuthentic> {
        authenticity.device(&self.authority, &self.signature)
    }
}

fn device_bytes(deployment: DeploymentId, device: &DeviceAuthority) -> Vec<u8> {
    bytes(|e| {
        e.array(8)?.str("device v1")?.bytes(deployment.as_bytes())?;
        e.str(device.instance.as_str())?.u64(device.account.get())?;
        match &device.identity {
            Some(identity) => {
                e.u32(identity.generation.get())?.bytes(identity.key.as_bytes())?;
            }
            None => {
                e.null()?.null()?;
            }
        }
        e.bool(device.retired)?.bool(device.quarantined)?.ok()
    })
}

fn device_key_bytes(
    deployment: DeploymentId,
    instance: &InstanceId,
    identity: &Identity,
) -> Vec<u8> {
    bytes(|e| {
        e.array(5)?.str("device key v1")?.bytes(deployment.as_bytes())?;
        e.str(instance.as_str())?.u32(identity.generation.get())?;
        e.bytes(identity.key.as_bytes())?.ok()
    })
}

fn api_key_bytes(deployment: DeploymentId, key: &ApiKey) -> Vec<u8> {
    bytes(|e| {
        e.array(12)?;
        encode_api_key_v1(e, deployment, key)?;
        encode_devices(e, key.scope.devices.as_ref())?;
        e.encode(key.maker.as_ref().map(SecretId::as_str))?.ok()
    })
}

fn api_key_bytes_v1(deployment: DeploymentId, key: &ApiKey) -> Vec<u8> {
    bytes(|e| {
        e.array(10)?;
        encode_api_key_v1(e, deployment, key)
    })
}

fn encode_api_key_v1(e: &mut Encoder<Vec<u8>>, deployment: DeploymentId, key: &ApiKey) -> Written {
    e.bytes(deployment.as_bytes())?.str(key.secret_id.as_str())?;
    e.bytes(&key.encrypted_secret)?.u64(key.app_id.get())?.str(key.uin.as_str())?;
    e.bool(key.scope.admin)?.encode(&key.scope.actions)?;
    e.encode(key.token_hash.as_ref().map(|hash| hash.to_vec()))?;
    e.encode(key.expires.map(|expires| expires.as_micros()))?.bool(key.disabled)?.ok()
}

fn encode_devices(e: &mut Encoder<Vec<u8>>, devices: Option<&DeviceScope>) -> Written {
    let Some(devices) = devices else { return e.null()?.ok() };
    let instances: Vec<_> = devices.instances.iter().map(InstanceId::as_str).collect();
    let tags: Vec<_> = devices.tags.iter().map(|tag| (&tag.key, &tag.values)).collect();
    e.array(2)?.encode(instances)?.encode(tags)?.ok()
}

fn token_bytes(deployment: DeploymentId, token: &EnrolmentToken) -> Vec<u8> {
    bytes(|e| {
        e.array(5)?.bytes(deployment.as_bytes())?.bytes(&token.hash)?;
        e.u64(token.app_id.get())?.encode(token.device.as_ref().map(InstanceId::as_str))?;
        e.u64(token.expires.as_micros())?.ok()
    })
}

fn bytes(write: impl FnOnce(&mut Encoder<Vec<u8>>) -> Written) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new());
    // Writing to memory cannot fail: `Infallible` has no values.
    match write(&mut encoder) {
        Ok(()) | Err(_) => encoder.into_writer(),
    }
}
