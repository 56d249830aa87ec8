use jiff::tz::Offset;
use opencpm_domain::OperateStatus;
use opencpm_operations::agent_status::AgentStatus;
use opencpm_operations::describe_devices::DescribedDevices;
use opencpm_operations::row::{Device, Page};
use serde::Serialize;

use crate::moment::text_or_empty;

/// Contract 4.3.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeviceList<'a> {
    total_num: u64,
    device_list: Vec<DeviceItem<'a>>,
    /// Milliseconds.
    server_timestamp: u64,
}

/// Every scalar is a string: a public Go client declares them so.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DeviceItem<'a> {
    instance_id: &'a str,
    vpc_id: String,
    subnet_id: String,
    un_vpc_id: &'a str,
    un_subnet_id: &'a str,
    lan_ip: &'a str,
    wan_ip: &'a str,
    device_status: String,
    operate_status: String,
    os_type_id: String,
    raid_id: String,
    alias: &'a str,
    app_id: String,
    zone_id: String,
    project_id: String,
    deliver_time: String,
    deadline: String,
    is_vpc_gateway: &'static str,
    auto_renew_flag: &'static str,
    device_class: &'a str,
    device_class_code: &'a str,
    tag_detail: Vec<TagItem<'a>>,
}

#[derive(Serialize)]
struct TagItem<'a> {
    key: &'a str,
    value: &'a str,
}

impl<'a> DeviceList<'a> {
    pub(crate) fn new(described: &'a DescribedDevices, offset: Offset) -> Self {
        let DescribedDevices { now, page } = described;
        Self {
            total_num: page.total,
            device_list: page.items.iter().map(|device| DeviceItem::new(device, offset)).collect(),
            server_timestamp: now.as_millis(),
        }
    }
}

impl<'a> DeviceItem<'a> {
    fn new(device: &'a Device, offset: Offset) -> Self {
        let known = &device.attributes;
        let operate_status = if device.has_open_job {
            OperateStatus::ResettingPassword
        } else {
            known.operate_status
        };
        let tags = known.tags.iter();
        Self {
            instance_id: device.authority.instance.as_str(),
            vpc_id: known.vpc_id.to_string(),
            subnet_id: known.subnet_id.to_string(),
            un_vpc_id: &known.un_vpc_id,
            un_subnet_id: &known.un_subnet_id,
            lan_ip: &known.lan_ip,
            wan_ip: &known.wan_ip,
            device_status: known.device_status.number().to_string(),
            operate_status: operate_status.number().to_string(),
            os_type_id: known.os_type_id.to_string(),
            raid_id: known.raid_id.to_string(),
            alias: &known.alias,
            app_id: device.authority.account.to_string(),
            zone_id: known.zone_id.to_string(),
            project_id: known.project_id.to_string(),
            deliver_time: text_or_empty(known.deliver_time, offset),
            deadline: text_or_empty(known.deadline, offset),
            is_vpc_gateway: flag(known.is_vpc_gateway),
            auto_renew_flag: flag(known.auto_renew),
            device_class: &known.device_class,
            device_class_code: &known.device_class_code,
            tag_detail: tags.map(|t| TagItem { key: &t.key, value: &t.value }).collect(),
        }
    }
}

fn flag(set: bool) -> &'static str {
    if set { "1" } else { "0" }
}

/// Contract 4.5.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AgentList<'a> {
    total_num: u64,
    agent_list: Vec<AgentItem<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AgentItem<'a> {
    instance_id: &'a str,
    agent_status: u8,
    agent_version: &'a str,
    last_seen_time: String,
}

impl<'a> AgentList<'a> {
    pub(crate) fn new(page: &'a Page<AgentStatus>, offset: Offset) -> Self {
        let agent_list = page.items.iter().map(|agent| AgentItem {
            instance_id: agent.instance.as_str(),
            agent_status: agent.presence as u8,
            agent_version: &agent.version,
            last_seen_time: text_or_empty(agent.last_seen, offset),
        });
        Self { total_num: page.total, agent_list: agent_list.collect() }
    }
}
