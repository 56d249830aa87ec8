//! `opencpm device`: the machines.

mod attributes;
mod list;
mod tag;

use clap::Subcommand;
use opencpm_domain::{AppId, DeviceStatus, InstanceId, OperateStatus};
use serde_json::Value;

use self::attributes::Attributes;
use self::list::{Filters, list, show_list};
use super::CommandError;
use super::account::app_id;
use crate::client::answer::{AgentStatus, Agents, Devices};
use crate::client::{Client, Parameters, read};
use crate::exit::Exit;
use crate::output::{self, clean, field, tell};

#[derive(Subcommand)]
pub(crate) enum Device {
    /// List the account's devices
    List {
        #[command(flatten)]
        filters: Filters,
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
        attributes: Box<Attributes>,
        /// An attribute to make unknown: deliverTime, deadline, maintainStatus, maintainMessage or
        /// tags
        #[arg(long, value_name = "NAME", group = "Attributes")]
        clear: Vec<String>,
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
        attributes: Box<Attributes>,
    },
}

impl Device {
    pub(crate) async fn run(self, client: Client, json: bool) -> Result<Exit, CommandError> {
        match self {
            Self::List { filters, ids } => show_list(list(&client, &filters).await?, ids, json),
            Self::Show { instance } => return show(&client, &instance, json).await,
            Self::Edit { instance, attributes, clear } => {
                let parameters = attributes.parameters().with("instanceId", &instance);
                let parameters = parameters.with_list("clear", clear);
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
    let tags = device["tagDetail"].as_array().into_iter().flatten();
    rows.extend(tags.map(|tag| ["tag".to_owned(), tag::text(tag)]));
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
