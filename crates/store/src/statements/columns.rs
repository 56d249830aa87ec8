//! The columns that the statements read, by name. A `*` would be all the columns of the day on
//! which a connection prepared its statement: PostgreSQL refuses to run it once an upgrade has
//! added another, and nodes of the version before must go on.

/// The columns of a row of this kind, each with its table.
macro_rules! columns {
    (api_key) => {
        "api_key.secret_id, api_key.encrypted_secret, api_key.app_id, api_key.uin, api_key.admin,
         api_key.actions, api_key.devices, api_key.token_hash, api_key.expires, api_key.maker,
         api_key.disabled, api_key.created, api_key.mac"
    };
    // What a reset needs to know.
    (candidate) => {
        "device.instance, device.account, device.identity_generation, device.identity_key,
         device.retired, device.quarantined, device.signature, device.device_status,
         device.operate_status, device.sealing_generation, device.sealing_certificate,
         device.highest_sequence, device.gateway, device.epoch"
    };
    (device) => {
        concat!(
            $crate::statements::columns::columns!(candidate),
            ", device.alias, device.lan_ip, device.wan_ip, device.mgt_ip, device.dhcp_ip,
             device.os_type_id, device.raid_id, device.zone_id, device.zone, device.project_id,
             device.vpc_id, device.subnet_id, device.un_vpc_id, device.vpc_name, device.vpc_cidr,
             device.un_subnet_id, device.subnet_name, device.subnet_cidr, device.deliver_time,
             device.deadline, device.pay_mode, device.is_vpc_gateway, device.auto_renew,
             device.is_lucky, device.device_class, device.device_class_code, device.device_type,
             device.maintain_status, device.maintain_message, device.facts, device.agent_version,
             device.last_seen"
        )
    };
    (job) => {
        "job.number, job.id, job.task, job.devices, job.instance, job.account, job.created,
         job.sequence, job.identity_generation, job.sealing_generation, job.verb, job.issued_at,
         job.not_after, job.deadline, job.authority, job.mac, job.status, job.attempts, job.reason,
         job.ended, job.applied, job.advice, job.corrected, job.report, job.version"
    };
}
pub(super) use columns;
