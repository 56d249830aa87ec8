//! The device list (contract 4.3).

use opencpm_domain::{Refusal, Timestamp};

use crate::authenticate::Caller;
use crate::refusal::store_refusal;
use crate::role::ApiRole;
use crate::row::{Device, DeviceQuery, Page};

/// A part of the caller's devices, and the store's time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedDevices {
    /// The store's clock: tells which leases are valid.
    pub now: Timestamp,
    /// The devices.
    pub page: Page<Device>,
}

/// Lists the caller's own devices; the query's own account and scope are not looked at.
pub async fn describe_devices(
    role: &ApiRole,
    caller: &Caller,
    query: DeviceQuery,
) -> Result<DescribedDevices, Refusal> {
    let within = caller.scope.devices.clone();
    let query = DeviceQuery { account: Some(caller.app_id), within, ..query };
    let (now, page) = role.store.devices(&query).await.map_err(store_refusal)?;
    Ok(DescribedDevices { now, page })
}
