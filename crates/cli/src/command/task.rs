//! `opencpm task`: what became of a reset.

use clap::Subcommand;
use opencpm_domain::{JobStatus, TaskStatus};
use serde_json::Value;

use super::CommandError;
use super::reset_password::show_result;
use crate::client::answer::OperationResult;
use crate::client::{Client, Parameters, read};
use crate::exit::Exit;
use crate::output::{self, field};

#[derive(Subcommand)]
pub(crate) enum Task {
    /// Show a task's machines, reasons and advice
    Show {
        /// The task's id
        task: u64,
    },
    /// Check again what the machines signed: fails when a success is not proved
    Verify {
        /// The task's id
        task: u64,
    },
}

impl Task {
    pub(crate) async fn run(self, client: Client, json: bool) -> Result<Exit, CommandError> {
        match self {
            Self::Show { task } => show(&client, task, json).await,
            Self::Verify { task } => verify(&client, task, json).await,
        }
    }
}

async fn show(client: &Client, task: u64, json: bool) -> Result<Exit, CommandError> {
    let asked = Parameters::new().with("taskId", task);
    if json {
        let data = client.call("DescribeTask", asked).await?;
        output::json(&data);
        let bits = data["status"].as_u64().unwrap_or_default();
        return Ok(Exit::of_task(statuses(bits).collect()));
    }
    let data = client.call("DescriptionOperationResult", asked).await?;
    let result: OperationResult = read("DescriptionOperationResult", data)?;
    show_result(task, &result.instance_ids, true);
    Ok(Exit::of_task(result.status()))
}

async fn verify(client: &Client, task: u64, json: bool) -> Result<Exit, CommandError> {
    let data = client.call("VerifyTask", Parameters::new().with("taskId", task)).await?;
    let verified = |device: &Value| device["verified"].as_bool() == Some(true);
    let devices = || data["devices"].as_array().into_iter().flatten();
    if json {
        output::json(&data);
    } else {
        let rows = devices().map(|device| {
            let word = if verified(device) { "proved" } else { "NOT PROVED" };
            [field(device, "instanceId"), word.to_owned(), field(device, "finding")]
        });
        let header = ["device", "success", "finding"];
        output::table(header, rows.collect(), "no machine succeeded: nothing to verify");
    }
    Ok(match data["verified"].as_bool() {
        Some(true) => Exit::DONE,
        _ if devices().any(verified) => Exit::SOME,
        _ => Exit::NONE,
    })
}

fn statuses(bits: u64) -> impl Iterator<Item = JobStatus> {
    let all = [JobStatus::Succeeded, JobStatus::Failed, JobStatus::Incomplete];
    all.into_iter().filter(move |status| bits & u64::from(status.number()) != 0)
}

impl OperationResult {
    /// The OR of the machines'.
    pub(crate) fn status(&self) -> TaskStatus {
        self.instance_ids.iter().flat_map(|machine| statuses(machine.status.into())).collect()
    }
}
