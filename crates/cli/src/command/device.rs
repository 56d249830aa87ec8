//! `opencpm device`: the machines.

use clap::{Args, Subcommand};
use opencpm_domain::{AppId, DeviceStatus, InstanceId, OperateStatus};
use serde_json::{Value, json};

use super::CommandError;
use super::account::app_id;
use crate::client::answer::{AgentStatus, Agents, Devices};
use crate::client::{Client, Parameters, read};
use crate::exit::Exit;
use crate::output::{self, clean, field, tell};

/// The most devices that one answer lists (contract 4.3).
const PAGE: u64 = 1000;

#[derive(Subcommand)]
pub(crate) enum Device {
    /// List the account's devices
    List {
        /// Only those whose alias holds this text
        #[arg(long)]
        alias: Option<String>,
        /// Only those with this private address
        #[arg(long, value_name = "IP")]
        lan_ip: Vec<String>,
        /// Only the ids, one a line, as reset-password --instances-file takes them
        #[arg(long, conflicts_with = "json")]
        ids: bool,
    },
    /// Show a device and its agent
    Show {
        /// The device
        instance: InstanceId,
    },
    /// Change attributes of a device: at least one (admin)
    #[command(mut_group("Attributes", |group| group.required(true)))]
    Edit {
        /// The device
        instance: InstanceId,
        #[command(flatten)]
        attributes: Attributes,
    },
    /// Add a device ahead of its enrolment (admin)
    Add {
        /// The account that it belongs to
        #[arg(long, value_parser = app_id)]
        app_id: AppId,
        /// Its id; one is made unless given
        #[arg(long, value_name = "ID")]
        instance: Option<InstanceId>,
        #[command(flatten)]
        attributes: Attributes,
    },
}

/// What is told of a device.
#[derive(Args, Default)]
pub(crate) struct Attributes {
    /// A name for people
    #[arg(long)]
    alias: Option<String>,
    /// Address in the private network
    #[arg(long, value_name = "IP")]
    lan_ip: Option<String>,
    /// Public address
    #[arg(long, value_name = "IP")]
    wan_ip: Option<String>,
    /// Management address
    #[arg(long, value_name = "IP")]
    mgt_ip: Option<String>,
    /// Where it is in its life; 4 is in operation
    #[arg(long, value_name = "N")]
    device_status: Option<u8>,
    /// What is being done to it; 1 is running
    #[arg(long, value_name = "N")]
    operate_status: Option<u8>,
    /// Zone
    #[arg(long)]
    zone: Option<String>,
    /// Network
    #[arg(long, value_name = "VPC")]
    vpc: Option<String>,
    /// Subnet
    #[arg(long)]
    subnet: Option<String>,
    /// Class
    #[arg(long, value_name = "CODE")]
    class: Option<String>,
    /// Paid until
    #[arg(long, value_name = "\"YYYY-MM-DD HH:MM:SS\"")]
    deadline: Option<String>,
    /// Any other attribute of API 2.0, such as osTypeId=1
    #[arg(long, value_name = "NAME=VALUE", value_parser = name_and_value)]
    set: Vec<(String, String)>,
}

fn name_and_value(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("it has the form NAME=VALUE")?;
    // The service ignores other names that begin with a capital (contract section 3).
    if !name.starts_with(|first: char| first.is_ascii_lowercase()) {
        return Err("the name of an attribute begins with a small letter".to_owned());
    }
    Ok((name.to_owned(), value.to_owned()))
}

impl Attributes {
    fn parameters(self) -> Parameters {
        let named = Parameters::new()
            .with_some("alias", self.alias)
            .with_some("lanIp", self.lan_ip)
            .with_some("wanIp", self.wan_ip)
            .with_some("mgtIp", self.mgt_ip)
            .with_some("deviceStatus", self.device_status)
            .with_some("operateStatus", self.operate_status)
            .with_some("zone", self.zone)
            .with_some("unVpcId", self.vpc)
            .with_some("unSubnetId", self.subnet)
            .with_some("deviceClassCode", self.class)
            .with_some("deadline", self.deadline);
        self.set.into_iter().fold(named, |all, (name, value)| all.with(&name, value))
    }
}

impl Device {
    pub(crate) async fn run(self, client: Client, json: bool) -> Result<Exit, CommandError> {
        match self {
            Self::List { alias, lan_ip, ids } => {
                let devices = list(&client, alias.as_deref(), &lan_ip).await?;
                show_list(devices, ids, json);
            }
            Self::Show { instance } => return show(&client, &instance, json).await,
            Self::Edit { instance, attributes } => {
                let parameters = attributes.parameters().with("instanceId", &instance);
                let data = client.call("ModifyDevice", parameters).await?;
                tell(json, &data, &format!("device {instance} is changed"));
            }
            Self::Add { app_id, instance, attributes } => {
                let parameters = attributes.parameters().with("appId", app_id);
                let parameters = parameters.with_some("instanceId", instance);
                let data = client.call("CreateDevice", parameters).await?;
                if json { output::json(&data) } else { output::line(&field(&data, "instanceId")) }
            }
        }
        Ok(Exit::DONE)
    }
}

/// Every device that matches, page by page.
async fn list(
    client: &Client,
    alias: Option<&str>,
    lan_ips: &[String],
) -> Result<Vec<Value>, CommandError> {
    let mut all = Vec::new();
    loop {
        let parameters = Parameters::new()
            .with("offset", all.len())
            .with("limit", PAGE)
            .with_some("alias", alias)
            .with_list("lanIps", lan_ips);
        let page: Devices = client.ask("DescribeDevice", parameters).await?;
        let is_last = page.device_list.is_empty();
        all.extend(page.device_list);
        if is_last || all.len() as u64 >= page.total_num {
            return Ok(all);
        }
    }
}

fn show_list(devices: Vec<Value>, ids: bool, json: bool) {
    if json {
        return output::json(&json!({ "totalNum": devices.len(), "deviceList": devices }));
    }
    if ids {
        return devices.iter().for_each(|device| output::line(&field(device, "instanceId")));
    }
    let rows = devices.iter().map(|device| {
        let [id, alias, lan] = ["instanceId", "alias", "lanIp"].map(|name| field(device, name));
        [id, alias, lan, status_text(device), operate_text(device)]
    });
    let header = ["device", "alias", "address", "status", "operation"];
    output::table(header, rows.collect(), "no devices");
}

async fn show(client: &Client, instance: &InstanceId, json: bool) -> Result<Exit, CommandError> {
    let one = || Parameters::new().with_list("instanceIds", [instance]);
    let mut devices: Devices = client.ask("DescribeDevice", one()).await?;
    let Some(mut device) = devices.device_list.pop() else {
        return Err(CommandError::NoDevice(instance.clone()));
    };
    let agents = client.call("DescribeBmAgentStatus", one()).await?;
    if json {
        device["agent"] = agents["agentList"][0].clone();
        output::json(&device);
        return Ok(Exit::DONE);
    }
    let agents: Agents = read("DescribeBmAgentStatus", agents)?;
    let agent = agents.agent_list.first().map(agent_text).unwrap_or_default();
    output::facts(facts(&device, agent));
    Ok(Exit::DONE)
}

/// First what is told in words, then what else is known.
fn facts(device: &Value, agent: String) -> Vec<[String; 2]> {
    let in_words = ["instanceId", "deviceStatus", "operateStatus"];
    let mut rows = vec![
        ["device".to_owned(), field(device, "instanceId")],
        ["status".to_owned(), status_text(device)],
        ["operation".to_owned(), operate_text(device)],
        ["agent".to_owned(), agent],
    ];
    let others = device.as_object().into_iter().flatten().filter(|(name, value)| {
        let is_known = value.as_str().is_some_and(|text| !text.is_empty() && text != "0");
        is_known && !in_words.contains(&name.as_str())
    });
    rows.extend(others.map(|(name, _)| [clean(name), field(device, name)]));
    rows
}

fn agent_text(agent: &AgentStatus) -> String {
    let version = clean(&agent.agent_version);
    match agent.agent_status {
        1 => format!("connected, version {version}"),
        2 => "never enrolled".to_owned(),
        _ => format!("not connected, version {version}"),
    }
}

fn status_text(device: &Value) -> String {
    let number = field(device, "deviceStatus");
    let known = number.parse().ok().and_then(|n: u8| DeviceStatus::try_from(n).ok());
    known.map_or(number, |status| status.text().to_owned())
}

fn operate_text(device: &Value) -> String {
    let number = field(device, "operateStatus");
    let known = number.parse().ok().and_then(|n: u8| OperateStatus::try_from(n).ok());
    known.map_or(number, |status| status.text().to_owned())
}
