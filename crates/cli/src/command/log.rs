//! `opencpm log`: what was done to a machine.

use clap::Args;
use opencpm_domain::InstanceId;
use serde_json::Value;

use super::CommandError;
use crate::client::{Client, Parameters};
use crate::exit::Exit;
use crate::output::{self, field};

#[derive(Args)]
pub(crate) struct Log {
    /// The machine
    instance: InstanceId,
    /// Started on this day or later; seven days ago unless given
    #[arg(long, value_name = "YYYY-MM-DD")]
    from: Option<String>,
    /// Started on this day or earlier; today unless given
    #[arg(long, value_name = "YYYY-MM-DD")]
    to: Option<String>,
    /// Skip so many
    #[arg(long, default_value_t = 0)]
    offset: u64,
    /// At most so many
    #[arg(long, default_value_t = 20)]
    limit: u64,
}

impl Log {
    pub(crate) async fn run(self, client: Client, json: bool) -> Result<Exit, CommandError> {
        let parameters = Parameters::new()
            .with("instanceId", self.instance)
            .with_some("startTime", self.from)
            .with_some("endTime", self.to)
            .with("offset", self.offset)
            .with("limit", self.limit);
        let data = client.call("DescribeDeviceOperationLog", parameters).await?;
        if json {
            output::json(&data)
        } else {
            show(&data)
        }
        Ok(Exit::DONE)
    }
}

fn show(data: &Value) {
    let logs = data["logs"].as_array().into_iter().flatten();
    let rows = logs.map(|entry| {
        let status = match field(entry, "status").as_str() {
            "0" => "running",
            "1" => "succeeded",
            "2" => "failed",
            other => other,
        }
        .to_owned();
        let text = |name| field(entry, name);
        let [started, ended, task] = ["startTime", "endTime", "taskId"].map(text);
        [started, ended, task, status, text("opUin"), text("memo")]
    });
    let header = ["started", "ended", "task", "status", "by", "memo"];
    output::table(header, rows.collect(), "nothing was done in this time");
}
