use opencpm_domain::{AppId, Condition, InstanceId, Refusal};

use super::{Administrator, accounts, write};
use crate::describe_devices::DescribedDevices;
use crate::enrol::{blank_device, new_instance_id};
use crate::port::Change;
use crate::refusal::store_refusal;
use crate::role::ApiRole;
use crate::row::{AttributeChanges, Attributes, Device, DeviceQuery};

/// A device ahead of its enrolment.
#[derive(Clone, Debug)]
pub struct NewDevice {
    /// Its id; made up when absent.
    pub instance: Option<InstanceId>,
    /// Whose.
    pub account: AppId,
    /// For answers.
    pub attributes: Attributes,
}

/// Makes a device. It can be reset once a machine has enrolled with a token made for it.
pub async fn create_device(
    role: &ApiRole,
    by: Administrator,
    new: NewDevice,
) -> Result<InstanceId, Refusal> {
    accounts::account(role, new.account).await?;
    let instance = new.instance.unwrap_or_else(|| new_instance_id(role));
    let device = blank_device(role, instance.clone(), new.account, new.attributes);
    let change = Change::CreateDevice(Box::new(device));
    write(role, by, "CreateDevice", format!("device {instance}"), change).await?;
    Ok(instance)
}

/// Changes the attributes that are given; the others stay as they are.
pub async fn modify_device(
    role: &ApiRole,
    by: Administrator,
    instance: &InstanceId,
    changes: AttributeChanges,
) -> Result<(), Refusal> {
    let change = Change::ModifyAttributes(instance.clone(), Box::new(changes));
    write(role, by, "ModifyDevice", format!("device {instance}"), change).await
}

/// Lists devices of one account or of all.
pub async fn describe_any_devices(
    role: &ApiRole,
    query: &DeviceQuery,
) -> Result<DescribedDevices, Refusal> {
    let (now, page) = role.store.devices(query).await.map_err(store_refusal)?;
    Ok(DescribedDevices { now, page })
}

/// A device of any account that must exist.
pub(super) async fn any_device(role: &ApiRole, instance: &InstanceId) -> Result<Device, Refusal> {
    let query = DeviceQuery { instances: vec![instance.clone()], limit: 1, ..<_>::default() };
    let found = describe_any_devices(role, &query).await?;
    found.page.items.into_iter().next().ok_or_else(|| {
        Refusal::new(Condition::NotFound, format!("{instance}: there is no such device"))
    })
}
