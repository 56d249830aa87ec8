use opencpm_domain::{AppId, Condition, InstanceId, Refusal};

use super::{Administrator, accounts, write};
use crate::authentic::tag_mac;
use crate::describe_devices::DescribedDevices;
use crate::enrol::{blank_device, new_instance_id};
use crate::port::Change;
use crate::refusal::store_refusal;
use crate::role::ApiRole;
use crate::row::{AttributeChanges, Attributes, Device, DeviceQuery, Tag};

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
    mut new: NewDevice,
) -> Result<InstanceId, Refusal> {
    accounts::account(role, new.account).await?;
    let instance = new.instance.unwrap_or_else(|| new_instance_id(role));
    give(role, new.account, &instance, &mut new.attributes.tags);
    let device = blank_device(role, instance.clone(), new.account, new.attributes);
    let change = Change::CreateDevice(Box::new(device));
    write(role, by, "CreateDevice", format!("device {instance}"), change).await?;
    Ok(instance)
}

/// Changes the attributes that are given; the others stay as they are, tags with the MACs that they
/// have or lack.
pub async fn modify_device(
    role: &ApiRole,
    by: Administrator,
    instance: &InstanceId,
    mut changes: AttributeChanges,
) -> Result<(), Refusal> {
    if let Some(tags) = &mut changes.tags {
        let account = account_of(role, instance).await?;
        give(role, account, instance, tags);
    }
    let change = Change::ModifyAttributes(instance.clone(), Box::new(changes));
    write(role, by, "ModifyDevice", format!("device {instance}"), change).await
}

/// Says of each tag that this device was given it.
fn give(role: &ApiRole, account: AppId, instance: &InstanceId, tags: &mut [Tag]) {
    for tag in tags {
        tag.mac = Some(tag_mac(&*role.keys, account, instance, tag));
    }
}

/// Whose a device is, retired or not, by its signed row.
async fn account_of(role: &ApiRole, instance: &InstanceId) -> Result<AppId, Refusal> {
    let query = DeviceQuery { retired: true, ..named(instance) };
    let device = the_one(role, instance, &query).await?;
    device.check_is(instance, role.trust.now().authenticity()).map_err(|forged| {
        tracing::error!(%instance, "{forged}");
        Refusal::new(Condition::NotFound, format!("{instance}: {forged}"))
    })?;
    Ok(device.authority.account)
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
    the_one(role, instance, &named(instance)).await
}

fn named(instance: &InstanceId) -> DeviceQuery {
    DeviceQuery { instances: vec![instance.clone()], limit: 1, ..<_>::default() }
}

async fn the_one(
    role: &ApiRole,
    instance: &InstanceId,
    query: &DeviceQuery,
) -> Result<Device, Refusal> {
    let found = describe_any_devices(role, query).await?;
    found.page.items.into_iter().next().ok_or_else(|| {
        Refusal::new(Condition::NotFound, format!("{instance}: there is no such device"))
    })
}
