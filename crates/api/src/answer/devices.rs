use std::collections::BTreeMap;

use opencpm_domain::{MaintainStatus, OperateStatus};
use opencpm_operations::agent_status::AgentStatus;
use opencpm_operations::describe_devices::DescribedDevices;
use opencpm_operations::row::{Device, Page, Tag};

use super::object::Object;
use super::table::*;

/// Contract 4.3.
pub(super) fn list(described: &DescribedDevices, to: &mut Object<'_>) {
    let DescribedDevices { now, page } = described;
    to.number(&TOTAL, page.total);
    to.objects(&DEVICE_LIST, &page.items, device);
    to.number(&SERVER_TIMESTAMP, now.as_millis());
}

fn device(device: &Device, to: &mut Object<'_>) {
    let known = &device.attributes;
    let operate_status =
        if device.has_open_job { OperateStatus::ResettingPassword } else { known.operate_status };
    to.text(&INSTANCE_ID, device.authority.instance.as_str());
    to.number(&VPC_NUMBER, known.vpc_id);
    to.number(&SUBNET_NUMBER, known.subnet_id);
    to.text(&VPC, &known.un_vpc_id);
    to.text(&SUBNET, &known.un_subnet_id);
    to.text(&LAN_IP, &known.lan_ip);
    to.text(&WAN_IP, &known.wan_ip);
    to.number(&DEVICE_STATUS, known.device_status.number().into());
    to.number(&OPERATE_STATUS, operate_status.number().into());
    to.number(&OS_TYPE_ID, known.os_type_id);
    to.number(&RAID_ID, known.raid_id);
    to.text(&ALIAS, &known.alias);
    to.number(&APP_ID, device.authority.account.get());
    to.number(&ZONE_NUMBER, known.zone_id);
    to.text(&ZONE, &known.zone);
    to.number(&PROJECT_ID, known.project_id);
    to.time(&DELIVER_TIME, known.deliver_time);
    to.time(&DEADLINE, known.deadline);
    to.number(&IS_VPC_GATEWAY, known.is_vpc_gateway.into());
    to.number(&AUTO_RENEW, known.auto_renew.into());
    to.text(&DEVICE_CLASS, &known.device_class);
    to.text(&DEVICE_CLASS_CODE, &known.device_class_code);
    to.objects(&TAG_DETAIL, &known.tags, |tag, to| {
        to.text(&TAG_KEY, &tag.key);
        to.text(&TAG_VALUE, &tag.value);
    });
    to.objects(&TAGS, by_key(&known.tags), |(key, values), to| {
        to.text(&TAG_KEY_V3, key);
        to.texts(&TAG_VALUES, values);
    });
    to.text(&MGT_IP, &known.mgt_ip);
    to.number(&PAY_MODE, known.pay_mode.number().into());
    to.text(&DHCP_IP, &known.dhcp_ip);
    to.text(&VPC_NAME, &known.vpc_name);
    to.text(&SUBNET_NAME, &known.subnet_name);
    to.text(&VPC_CIDR, &known.vpc_cidr);
    to.text(&SUBNET_CIDR, &known.subnet_cidr);
    to.number(&IS_LUCKY, known.is_lucky.into());
    to.text(&DEVICE_TYPE, &known.device_type);
    let maintenance = known.maintain_status.map(MaintainStatus::name);
    let message = known.maintain_message.as_deref();
    to.text(&MAINTAIN_STATUS_V2, maintenance.unwrap_or_default());
    to.text(&MAINTAIN_MESSAGE_V2, message.unwrap_or_default());
    to.optional(&MAINTAIN_STATUS, maintenance);
    to.optional(&MAINTAIN_MESSAGE, message);
}

fn by_key(tags: &[Tag]) -> BTreeMap<&str, Vec<&str>> {
    let mut by_key: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for tag in tags {
        by_key.entry(tag.key.as_str()).or_default().push(tag.value.as_str());
    }
    by_key
}

/// Contract 4.5.
pub(super) fn agents(page: &Page<AgentStatus>, to: &mut Object<'_>) {
    to.number(&TOTAL, page.total);
    to.objects(&AGENT_LIST, &page.items, |agent, to| {
        to.text(&INSTANCE_ID, agent.instance.as_str());
        to.number(&AGENT_STATUS, agent.presence as u64);
        to.text(&AGENT_VERSION, &agent.version);
        to.time(&LAST_SEEN, agent.last_seen);
    });
}
