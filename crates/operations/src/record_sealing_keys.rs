//! Sealing keys wear out: new ones that come without a job.

use opencpm_domain::{GatewayId, Generation, InstanceId};
use opencpm_protocol::report::SealingCertificate;
use opencpm_protocol::sign::Signed;

use crate::port::StoreError;
use crate::role::GatewayRole;
use crate::row::Sealing;

/// A sealing key as an authenticated session of this device delivered it.
#[derive(Clone, Debug)]
pub struct NewSealingKey {
    /// The session's device.
    pub instance: InstanceId,
    /// The generation of its identity key.
    pub identity_generation: Generation,
    /// Certified by that key.
    pub certificate: Signed<SealingCertificate>,
}

/// Stores sealing keys, all that came together in one call. Returns those in force now, after the
/// commit.
pub async fn record_sealing_keys(
    role: &GatewayRole,
    gateway: GatewayId,
    keys: Vec<NewSealingKey>,
) -> Result<Vec<(InstanceId, Generation)>, StoreError> {
    let read = |key: NewSealingKey| {
        let generation = key.certificate.read_unverified().ok()?.generation;
        let sealing = Sealing { generation, certificate: key.certificate.to_bytes() };
        Some((key.instance, key.identity_generation, sealing))
    };
    let rows: Vec<_> = keys.into_iter().filter_map(read).collect();
    let generations: Vec<_> = rows.iter().map(|(i, _, s)| (i.clone(), s.generation)).collect();
    let in_force = role.store.put_sealing_keys(rows, gateway).await?;
    Ok(generations.into_iter().filter(|(instance, _)| in_force.contains(instance)).collect())
}
