//! Devices, as they are written: attributes by administrators, the rest by enrolment.

use opencpm_domain::InstanceId;
use opencpm_operations::port::StoreError;
use opencpm_operations::row::{Attributes, Device};
use sqlx::query;

use super::column::{number, time};
use super::session::{Query, Session};

/// False when the id, or the identity key, is taken. The connection is not written: a new device
/// has none.
pub(super) async fn insert_device(
    session: &mut Session,
    device: &Device,
) -> Result<bool, StoreError> {
    let insert = "INSERT INTO device (instance,
             alias, alias_lower, lan_ip, wan_ip, mgt_ip, device_status, operate_status,
             os_type_id, raid_id, zone_id, zone, project_id, vpc_id, subnet_id, un_vpc_id,
             un_subnet_id, deliver_time, deadline, is_vpc_gateway, auto_renew, device_class,
             device_class_code, tags,
             account, identity_generation, identity_key, retired, quarantined, signature,
             sealing_generation, sealing_certificate, highest_sequence, facts, agent_version,
             last_seen, epoch)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18,
             ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31, ?32, ?33, ?34, ?35,
             ?36, 0)
         ON CONFLICT DO NOTHING";
    let authority = &device.authority;
    let identity = authority.identity.as_ref();
    let sealing = device.sealing.as_ref();
    let insert = attribute_values(insert, &authority.instance, &device.attributes)?
        .bind(number(authority.account.get()))
        .bind(identity.map(|identity| identity.generation.get()))
        .bind(identity.map(|identity| identity.key.as_bytes().as_slice()))
        .bind(authority.retired)
        .bind(authority.quarantined)
        .bind(device.signature.as_slice())
        .bind(sealing.map(|sealing| sealing.generation.get()))
        .bind(sealing.map(|sealing| sealing.certificate.as_slice()))
        .bind(number(device.highest_sequence.get()))
        .bind(device.facts.as_deref())
        .bind(&device.agent_version)
        .bind(device.last_seen.map(time));
    Ok(session.run(insert).await? == 1)
}

/// False when there is no such device.
pub(super) async fn update_attributes(
    session: &mut Session,
    instance: &InstanceId,
    attributes: &Attributes,
) -> Result<bool, StoreError> {
    let update = "UPDATE device SET alias = ?2, alias_lower = ?3, lan_ip = ?4, wan_ip = ?5,
             mgt_ip = ?6, device_status = ?7, operate_status = ?8, os_type_id = ?9, raid_id = ?10,
             zone_id = ?11, zone = ?12, project_id = ?13, vpc_id = ?14, subnet_id = ?15,
             un_vpc_id = ?16, un_subnet_id = ?17, deliver_time = ?18, deadline = ?19,
             is_vpc_gateway = ?20, auto_renew = ?21, device_class = ?22, device_class_code = ?23,
             tags = ?24
         WHERE instance = ?1";
    Ok(session.run(attribute_values(update, instance, attributes)?).await? == 1)
}

/// Whether there is such a device.
pub(super) async fn device_exists(
    session: &mut Session,
    instance: &InstanceId,
) -> Result<bool, StoreError> {
    let select = query("SELECT 1 FROM device WHERE instance = ?1");
    Ok(session.row(select.bind(instance.as_str())).await?.is_some())
}

/// Parameters 1 to 24.
fn attribute_values<'q>(
    sql: &'static str,
    instance: &'q InstanceId,
    attributes: &'q Attributes,
) -> Result<Query<'q>, StoreError> {
    let tags: Vec<_> = attributes.tags.iter().map(|tag| (&tag.key, &tag.value)).collect();
    let tags = serde_json::to_string(&tags).map_err(|e| StoreError::Unavailable(Box::new(e)))?;
    let values = query(sql)
        .bind(instance.as_str())
        .bind(&attributes.alias)
        .bind(attributes.alias.to_lowercase())
        .bind(&attributes.lan_ip)
        .bind(&attributes.wan_ip)
        .bind(&attributes.mgt_ip)
        .bind(attributes.device_status.number())
        .bind(attributes.operate_status.number())
        .bind(number(attributes.os_type_id))
        .bind(number(attributes.raid_id))
        .bind(number(attributes.zone_id))
        .bind(&attributes.zone)
        .bind(number(attributes.project_id))
        .bind(number(attributes.vpc_id))
        .bind(number(attributes.subnet_id))
        .bind(&attributes.un_vpc_id)
        .bind(&attributes.un_subnet_id)
        .bind(attributes.deliver_time.map(time))
        .bind(attributes.deadline.map(time))
        .bind(attributes.is_vpc_gateway)
        .bind(attributes.auto_renew)
        .bind(&attributes.device_class)
        .bind(&attributes.device_class_code)
        .bind(tags);
    Ok(values)
}
