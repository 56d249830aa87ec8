//! Devices: columns, what a reset needs to know, keys.

use std::collections::BTreeMap;

use opencpm_domain::{
    GatewayId, Generation, InstanceId, OperateStatus, Sequence, hex_to_bytes, to_hex,
};
use opencpm_operations::port::StoreError;
use opencpm_operations::row::{
    Attributes, Binding, Connection, Device, DeviceAuthority, DeviceKey, Identity, Lease,
    ResetCandidate, ResetCandidates, Sealing, Tag,
};
use opencpm_protocol::key::VerifyingKey;
use serde::Serialize;

use super::gateway::fence;
use crate::column::{number, read, read_optional, time};
use crate::engine::{Outcome, When};
use crate::row::Row;
use crate::session::Session;
use crate::statement::{Dialect, each, json, json_of, query};

/// Columns of devices, with the lease, the tags and whether there is an open job; conditions
/// follow.
macro_rules! select_device {
    ($columns:ident, $conditions:literal) => {
        select_device!($columns, $conditions, $conditions)
    };
    ($columns:ident, $sqlite:literal, $postgres:literal) => {
        $crate::statement::each(
            select_device!(
                @tags "json_group_array(json_array(key, value, lower(hex(mac))) ORDER BY key, value)",
                $columns,
                $sqlite
            ),
            select_device!(
                @tags "coalesce(json_agg(json_build_array(key, value, encode(mac, 'hex'))
                           ORDER BY key, value), '[]')::text",
                $columns,
                $postgres
            ),
        )
    };
    (@tags $tags:literal, $columns:ident, $conditions:literal) => {
        concat!(
            "SELECT ",
            $crate::statements::columns::columns!($columns),
            ", gateway.until AS lease_until,
                 EXISTS (SELECT 1 FROM job WHERE job.instance = device.instance AND status = 4)
                     AS has_open_job,
                 (SELECT ",
            $tags,
            " FROM device_tag AS tag
                  WHERE tag.account = device.account AND tag.instance = device.instance) AS tags
             FROM device LEFT JOIN gateway ON gateway.id = device.gateway ",
            $conditions
        )
    };
}
pub(super) use select_device;

pub(crate) async fn reset_candidates(
    session: &mut Session,
    instances: &[InstanceId],
    when: When,
) -> Result<ResetCandidates, StoreError> {
    let now = when.now(session).await?;
    let ids: Vec<_> = instances.iter().map(InstanceId::as_str).collect();
    let devices = query(select_device!(
        candidate,
        "WHERE device.instance IN (SELECT value FROM json_each($1))",
        "WHERE device.instance IN (SELECT value
                                   FROM json_array_elements_text($1::json) AS line (value))"
    ));
    let load = |row: Row| load_candidate(&row);
    let devices = session.read_each(devices.bind(json(&ids)?), load).await?;
    let general = query(
        "SELECT (SELECT max(id) FROM task) AS last_task,
             EXISTS (SELECT 1 FROM gateway WHERE until > $1) AS any_alive",
    );
    let general = session.row(general.bind(time(now))).await?;
    let general = general.ok_or(StoreError::Corrupt("an aggregate without a row"))?;
    Ok(ResetCandidates {
        now,
        any_gateway_alive: read(&general, "any_alive")?,
        last_task: read_optional(&general, "last_task")?,
        devices,
    })
}

pub(crate) async fn device_keys(
    session: &mut Session,
    keys: &[(InstanceId, Generation)],
) -> Result<Vec<DeviceKey>, StoreError> {
    let pairs: Vec<_> =
        keys.iter().map(|(id, generation)| (id.as_str(), generation.get())).collect();
    let select = query(each(
        "SELECT instance, generation, key, since, until, signature FROM (SELECT DISTINCT value ->> 0 AS instance,
             value ->> 1 AS generation FROM json_each($1)) AS asked
         JOIN device_key USING (instance, generation)",
        "SELECT instance, generation, key, since, until, signature FROM (SELECT DISTINCT value ->> 0 AS instance,
             (value ->> 1)::bigint AS generation
             FROM json_array_elements($1::json) AS line (value)) AS asked
         JOIN device_key USING (instance, generation)",
    ));
    session.read_each(select.bind(json(&pairs)?), |row| load_key(&row)).await
}

pub(crate) async fn device_of_identity(
    session: &mut Session,
    key: &VerifyingKey,
) -> Result<Option<Device>, StoreError> {
    let select = query(select_device!(device, "WHERE device.identity_key = $1"));
    let row = session.row(select.bind(key.as_bytes().as_slice())).await?;
    row.as_ref().map(load_device).transpose()
}

pub(crate) async fn device_in_any_account(
    session: &mut Session,
    instance: &InstanceId,
) -> Result<Option<Device>, StoreError> {
    let select = query(select_device!(device, "WHERE device.instance = $1"));
    let row = session.row(select.bind(instance.as_str())).await?;
    row.as_ref().map(load_device).transpose()
}

pub(crate) async fn put_sealing_keys(
    session: &mut Session,
    keys: &[(InstanceId, Generation, Sealing)],
    gateway: GatewayId,
    when: When,
) -> Result<Outcome<Vec<InstanceId>>, StoreError> {
    lock(session, keys.iter().map(|(instance, ..)| instance.as_str())).await?;
    fence(session, gateway, when).await?;
    raise_sealing(session, keys).await?;
    let select = query(each(
        "SELECT DISTINCT device.instance FROM json_each($1) AS told
         JOIN device ON device.instance = told.value ->> 'instance'
         WHERE device.identity_generation = told.value ->> 'identity'
           AND device.sealing_generation = told.value ->> 'generation'
           AND device.sealing_certificate = unhex(told.value ->> 'certificate')
         ORDER BY device.instance",
        "SELECT DISTINCT device.instance FROM json_to_recordset($1::json) AS told (
             instance text, identity bigint, generation bigint, certificate text)
         JOIN device ON device.instance = told.instance
         WHERE device.identity_generation = told.identity
           AND device.sealing_generation = told.generation
           AND device.sealing_certificate = decode(told.certificate, 'hex')
         ORDER BY device.instance",
    ));
    let lines: Vec<_> = keys.iter().map(SealingLine::new).collect();
    let rows = session.rows(select.bind(json(&lines)?)).await?;
    let in_force = rows.iter().map(|row| read(row, "instance")).collect::<Result<_, _>>()?;
    Ok(Outcome::Keep(in_force))
}

/// Takes sealing keys whose generation is higher, of devices whose identity is still this one.
pub(crate) async fn raise_sealing(
    session: &mut Session,
    keys: &[(InstanceId, Generation, Sealing)],
) -> Result<(), StoreError> {
    // One line for each device and identity: the highest.
    let mut highest = BTreeMap::new();
    for key in keys {
        let best = highest.entry((&key.0, key.1)).or_insert(key);
        if key.2.generation > best.2.generation {
            *best = key;
        }
    }
    let lines: Vec<_> = highest.into_values().map(SealingLine::new).collect();
    let update = query(each(
        "UPDATE device SET sealing_generation = told.value ->> 'generation',
             sealing_certificate = unhex(told.value ->> 'certificate')
         FROM json_each($1) AS told
         WHERE device.instance = told.value ->> 'instance'
           AND device.identity_generation = told.value ->> 'identity'
           AND coalesce(device.sealing_generation, 0) < told.value ->> 'generation'",
        "UPDATE device SET sealing_generation = told.generation,
             sealing_certificate = decode(told.certificate, 'hex')
         FROM json_to_recordset($1::json) AS told (
             instance text, identity bigint, generation bigint, certificate text)
         WHERE device.instance = told.instance
           AND device.identity_generation = told.identity
           AND coalesce(device.sealing_generation, 0) < told.generation",
    ));
    session.run(update.bind(json(&lines)?)).await?;
    Ok(())
}

/// Raises highest sequences, never lowers one.
pub(crate) async fn raise_sequences(
    session: &mut Session,
    sequences: impl IntoIterator<Item = (&InstanceId, Sequence)>,
) -> Result<(), StoreError> {
    let mut highest = BTreeMap::new();
    for (instance, sequence) in sequences {
        let best = highest.entry(instance.as_str()).or_insert(sequence);
        *best = sequence.max(*best);
    }
    let lines: Vec<_> = highest.iter().map(|(id, sequence)| (id, number(sequence.get()))).collect();
    let update = query(each(
        "UPDATE device SET highest_sequence = max(highest_sequence, told.value ->> 1)
         FROM json_each($1) AS told WHERE device.instance = told.value ->> 0",
        "UPDATE device
         SET highest_sequence = greatest(highest_sequence, (told.value ->> 1)::bigint)
         FROM json_array_elements($1::json) AS told (value)
         WHERE device.instance = told.value ->> 0",
    ));
    session.run(update.bind(json(&lines)?)).await?;
    Ok(())
}

/// Until the end of the change, whoever else changes these devices waits, and everybody waits in
/// the same order. SQLite has one writer.
pub(crate) async fn lock<'i>(
    session: &mut Session,
    instances: impl IntoIterator<Item = &'i str>,
) -> Result<(), StoreError> {
    if session.dialect() == Dialect::Sqlite {
        return Ok(());
    }
    let lock = query(
        "SELECT count(*) FROM (
             SELECT FROM device WHERE instance IN (
                 SELECT value FROM json_array_elements_text($1::json) AS line (value))
             ORDER BY instance FOR NO KEY UPDATE) AS locked",
    );
    session.row(lock.bind(json_of(instances)?)).await?;
    Ok(())
}

#[derive(Serialize)]
struct SealingLine<'a> {
    instance: &'a str,
    identity: u32,
    generation: u32,
    certificate: String,
}

impl<'a> SealingLine<'a> {
    fn new((instance, identity, sealing): &'a (InstanceId, Generation, Sealing)) -> Self {
        Self {
            instance: instance.as_str(),
            identity: identity.get(),
            generation: sealing.generation.get(),
            certificate: to_hex(&sealing.certificate),
        }
    }
}

fn load_candidate(row: &Row) -> Result<ResetCandidate, StoreError> {
    let operate_status = if read(row, "has_open_job")? {
        OperateStatus::ResettingPassword
    } else {
        read(row, "operate_status")?
    };
    Ok(ResetCandidate {
        authority: load_authority(row)?,
        signature: read(row, "signature")?,
        device_status: read(row, "device_status")?,
        operate_status,
        sealing: load_sealing(row)?,
        highest_sequence: read(row, "highest_sequence")?,
        connection: load_connection(row)?,
        tags: load_tags(row)?,
    })
}

/// Reads what [`select_device`] selects.
pub(super) fn load_device(row: &Row) -> Result<Device, StoreError> {
    Ok(Device {
        authority: load_authority(row)?,
        signature: read(row, "signature")?,
        attributes: load_attributes(row)?,
        sealing: load_sealing(row)?,
        highest_sequence: read(row, "highest_sequence")?,
        facts: read_optional(row, "facts")?,
        agent_version: read(row, "agent_version")?,
        last_seen: read_optional(row, "last_seen")?,
        connection: load_connection(row)?,
        has_open_job: read(row, "has_open_job")?,
    })
}

fn load_authority(row: &Row) -> Result<DeviceAuthority, StoreError> {
    let generation = read_optional(row, "identity_generation")?;
    let identity = match (generation, read_optional(row, "identity_key")?) {
        (Some(generation), Some(key)) => Some(Identity { generation, key }),
        (None, None) => None,
        _ => return Err(StoreError::Corrupt("half an identity")),
    };
    Ok(DeviceAuthority {
        instance: read(row, "instance")?,
        account: read(row, "account")?,
        identity,
        retired: read(row, "retired")?,
        quarantined: read(row, "quarantined")?,
    })
}

fn load_sealing(row: &Row) -> Result<Option<Sealing>, StoreError> {
    let generation = read_optional(row, "sealing_generation")?;
    match (generation, read_optional(row, "sealing_certificate")?) {
        (Some(generation), Some(certificate)) => Ok(Some(Sealing { generation, certificate })),
        (None, None) => Ok(None),
        _ => Err(StoreError::Corrupt("half a sealing key")),
    }
}

fn load_connection(row: &Row) -> Result<Connection, StoreError> {
    let Some(gateway) = read_optional(row, "gateway")? else { return Ok(Connection::None) };
    Ok(Connection::Bound {
        binding: Binding { gateway, epoch: read(row, "epoch")? },
        lease: Lease { until: read(row, "lease_until")? },
    })
}

fn load_attributes(row: &Row) -> Result<Attributes, StoreError> {
    Ok(Attributes {
        alias: read(row, "alias")?,
        lan_ip: read(row, "lan_ip")?,
        wan_ip: read(row, "wan_ip")?,
        mgt_ip: read(row, "mgt_ip")?,
        dhcp_ip: read(row, "dhcp_ip")?,
        device_status: read(row, "device_status")?,
        operate_status: read(row, "operate_status")?,
        os_type_id: read(row, "os_type_id")?,
        raid_id: read(row, "raid_id")?,
        zone_id: read(row, "zone_id")?,
        zone: read(row, "zone")?,
        project_id: read(row, "project_id")?,
        vpc_id: read(row, "vpc_id")?,
        subnet_id: read(row, "subnet_id")?,
        un_vpc_id: read(row, "un_vpc_id")?,
        vpc_name: read(row, "vpc_name")?,
        vpc_cidr: read(row, "vpc_cidr")?,
        un_subnet_id: read(row, "un_subnet_id")?,
        subnet_name: read(row, "subnet_name")?,
        subnet_cidr: read(row, "subnet_cidr")?,
        deliver_time: read_optional(row, "deliver_time")?,
        deadline: read_optional(row, "deadline")?,
        pay_mode: read(row, "pay_mode")?,
        is_vpc_gateway: read(row, "is_vpc_gateway")?,
        auto_renew: read(row, "auto_renew")?,
        is_lucky: read(row, "is_lucky")?,
        device_class: read(row, "device_class")?,
        device_class_code: read(row, "device_class_code")?,
        device_type: read(row, "device_type")?,
        maintain_status: read_optional(row, "maintain_status")?,
        maintain_message: read_optional(row, "maintain_message")?,
        tags: load_tags(row)?,
    })
}

/// A MAC of another length is none: it would not verify either.
fn load_tags(row: &Row) -> Result<Vec<Tag>, StoreError> {
    let tags: String = read(row, "tags")?;
    let tags: Vec<(String, String, Option<String>)> =
        serde_json::from_str(&tags).map_err(|_| StoreError::Corrupt("tags"))?;
    let mac = |hex: Option<String>| hex_to_bytes(&hex?)?.try_into().ok();
    Ok(tags.into_iter().map(|(key, value, hex)| Tag { key, value, mac: mac(hex) }).collect())
}

fn load_key(row: &Row) -> Result<DeviceKey, StoreError> {
    Ok(DeviceKey {
        instance: read(row, "instance")?,
        identity: Identity { generation: read(row, "generation")?, key: read(row, "key")? },
        from: read(row, "since")?,
        until: read_optional(row, "until")?,
        signature: read(row, "signature")?,
    })
}
