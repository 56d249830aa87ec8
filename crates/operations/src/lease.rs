//! A gateway lives by its lease: renewed by the store's clock, lost when it is not.

use opencpm_domain::{GatewayId, Lease, Span};

use crate::port::StoreError;
use crate::role::GatewayRole;

/// How long a lease lasts after each renewal where several processes share the store: so long do
/// the devices of a process that died count as connected.
pub const SHARED: Span = Lease::LENGTH;

/// The same where the store belongs to one process at a time. The next one ends all leases when it
/// opens the store, so nobody waits for this one's end; and a writer that is busy with a large task
/// costs the fleet no connection.
pub const ALONE: Span = Span::from_secs(60);

/// Takes or renews the lease. False when it had ended: then the process takes a new id.
pub async fn renew(role: &GatewayRole, gateway: GatewayId) -> Result<bool, StoreError> {
    role.store.renew_lease(gateway, role.lease).await
}

/// Ends the lease: the process stops in good order, or goes on under a new id.
pub async fn end(role: &GatewayRole, gateway: GatewayId) -> Result<(), StoreError> {
    role.store.end_lease(gateway).await
}
