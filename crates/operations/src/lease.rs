//! A gateway lives by its lease: renewed by the store's clock, lost when it is not.

use opencpm_domain::{GatewayId, Lease, Span};

use crate::port::StoreError;
use crate::role::GatewayRole;

/// How long a lease lasts after each renewal.
pub const LEASE: Span = Lease::LENGTH;

/// Takes or renews the lease. False when it had ended: then the process takes a new id.
pub async fn renew(role: &GatewayRole, gateway: GatewayId) -> Result<bool, StoreError> {
    role.store.renew_lease(gateway, LEASE).await
}

/// Ends the lease: the process stops in good order.
pub async fn end(role: &GatewayRole, gateway: GatewayId) -> Result<(), StoreError> {
    role.store.end_lease(gateway).await
}
