//! Devices, as they are written: attributes by administrators, the rest by enrolment.

use opencpm_domain::{InstanceId, MaintainStatus, to_hex};
use opencpm_operations::port::StoreError;
use opencpm_operations::row::{Attributes, Device, Tag};

use crate::column::{number, time};
use crate::session::Session;
use crate::statement::{Statement, each, json, query};

/// False when the id, or the identity key, is taken. The connection is not written: a new device
/// has none.
pub(crate) async fn insert_device(
    session: &mut Session,
    device: &Device,
) -> Result<bool, StoreError> {
    let insert = "INSERT INTO device (instance,
             alias, alias_lower, lan_ip, wan_ip, mgt_ip, dhcp_ip, device_status, operate_status,
             os_type_id, raid_id, zone_id, zone, project_id, vpc_id, subnet_id, un_vpc_id,
             vpc_name, vpc_cidr, un_subnet_id, subnet_name, subnet_cidr, deliver_time, deadline,
             pay_mode, is_vpc_gateway, auto_renew, is_lucky, device_class, device_class_code,
             device_type, maintain_status, maintain_message,
             account, identity_generation, identity_key, retired, quarantined, signature,
             sealing_generation, sealing_certificate, highest_sequence, facts, agent_version,
             last_seen, epoch)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
             $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35,
             $36, $37, $38, $39, $40, $41, $42, $43, $44, $45, 0)
         ON CONFLICT DO NOTHING";
    let authority = &device.authority;
    let identity = authority.identity.as_ref();
    let sealing = device.sealing.as_ref();
    let insert = attribute_values(insert, &authority.instance, &device.attributes)
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
    if session.run(insert).await? == 0 {
        return Ok(false);
    }
    insert_tags(session, &authority.instance, &device.attributes.tags).await?;
    Ok(true)
}

/// False when there is no such device.
pub(crate) async fn update_attributes(
    session: &mut Session,
    instance: &InstanceId,
    attributes: &Attributes,
) -> Result<bool, StoreError> {
    let update = "UPDATE device SET alias = $2, alias_lower = $3, lan_ip = $4, wan_ip = $5,
             mgt_ip = $6, dhcp_ip = $7, device_status = $8, operate_status = $9, os_type_id = $10,
             raid_id = $11, zone_id = $12, zone = $13, project_id = $14, vpc_id = $15,
             subnet_id = $16, un_vpc_id = $17, vpc_name = $18, vpc_cidr = $19, un_subnet_id = $20,
             subnet_name = $21, subnet_cidr = $22, deliver_time = $23, deadline = $24,
             pay_mode = $25, is_vpc_gateway = $26, auto_renew = $27, is_lucky = $28,
             device_class = $29, device_class_code = $30, device_type = $31,
             maintain_status = $32, maintain_message = $33
         WHERE instance = $1";
    if session.run(attribute_values(update, instance, attributes)).await? == 0 {
        return Ok(false);
    }
    let delete = query(
        "DELETE FROM device_tag WHERE instance = $1
             AND account = (SELECT account FROM device WHERE instance = $1)",
    );
    session.run(delete.bind(instance.as_str())).await?;
    insert_tags(session, instance, &attributes.tags).await?;
    Ok(true)
}

/// Each pair once, whatever was asked for.
async fn insert_tags(
    session: &mut Session,
    instance: &InstanceId,
    tags: &[Tag],
) -> Result<(), StoreError> {
    let insert = query(each(
        "INSERT INTO device_tag (account, instance, key, value, mac)
         SELECT DISTINCT device.account, device.instance, tag.value ->> 0, tag.value ->> 1,
             unhex(tag.value ->> 2)
         FROM device, json_each($2) AS tag WHERE device.instance = $1",
        "INSERT INTO device_tag (account, instance, key, value, mac)
         SELECT DISTINCT device.account, device.instance, tag.value ->> 0, tag.value ->> 1,
             decode(tag.value ->> 2, 'hex')
         FROM device, json_array_elements($2::json) AS tag (value) WHERE device.instance = $1",
    ));
    let hex = |tag: &Tag| tag.mac.as_ref().map(|mac| to_hex(mac));
    let lines: Vec<_> = tags.iter().map(|tag| (&tag.key, &tag.value, hex(tag))).collect();
    session.run(insert.bind(instance.as_str()).bind(json(&lines)?)).await?;
    Ok(())
}

/// Whether there is such a device.
pub(crate) async fn device_exists(
    session: &mut Session,
    instance: &InstanceId,
) -> Result<bool, StoreError> {
    let select = query("SELECT 1 FROM device WHERE instance = $1");
    Ok(session.row(select.bind(instance.as_str())).await?.is_some())
}

/// Parameters 1 to 33: all but the tags.
fn attribute_values(
    sql: &'static str,
    instance: &InstanceId,
    attributes: &Attributes,
) -> Statement {
    query(sql)
        .bind(instance.as_str())
        .bind(&attributes.alias)
        .bind(attributes.alias.to_lowercase())
        .bind(&attributes.lan_ip)
        .bind(&attributes.wan_ip)
        .bind(&attributes.mgt_ip)
        .bind(&attributes.dhcp_ip)
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
        .bind(&attributes.vpc_name)
        .bind(&attributes.vpc_cidr)
        .bind(&attributes.un_subnet_id)
        .bind(&attributes.subnet_name)
        .bind(&attributes.subnet_cidr)
        .bind(attributes.deliver_time.map(time))
        .bind(attributes.deadline.map(time))
        .bind(attributes.pay_mode.number())
        .bind(attributes.is_vpc_gateway)
        .bind(attributes.auto_renew)
        .bind(attributes.is_lucky)
        .bind(&attributes.device_class)
        .bind(&attributes.device_class_code)
        .bind(&attributes.device_type)
        .bind(attributes.maintain_status.map(MaintainStatus::name))
        .bind(&attributes.maintain_message)
}
