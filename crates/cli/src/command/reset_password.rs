//! `opencpm reset-password`: one new password for many machines.

use std::ffi::OsString;
use std::io::Read;
use std::path::PathBuf;

use clap::Args;
use opencpm_domain::{Condition, InstanceId, InvalidId};
use secrecy::SecretString;
use serde_json::json;

use super::new_password::{PasswordError, PasswordSource};
use super::secret_out::SecretOut;
use super::{CommandError, Progress, wait_for};
use crate::client::answer::{Accepted, MachineResult};
use crate::client::{Client, ClientError, Parameters};
use crate::exit::Exit;
use crate::output::{self, clean};
use crate::system::SystemRandom;

#[derive(Args)]
pub(crate) struct ResetPassword {
    /// The machines
    #[arg(value_name = "ID")]
    instances: Vec<InstanceId>,
    /// The same, as an option; may be a list with commas
    #[arg(long = "instance", value_name = "ID", value_delimiter = ',', num_args = 1..)]
    more_instances: Vec<InstanceId>,
    /// File with the machines' ids, one a line, or - for standard input
    #[arg(long, value_name = "FILE")]
    instances_file: Option<OsString>,
    #[command(flatten)]
    password: PasswordSource,
    /// New file for a generated password; on standard output unless given
    #[arg(long, value_name = "FILE", requires = "generate")]
    password_out: Option<SecretOut>,
    /// Do not wait for the machines
    #[arg(long)]
    no_wait: bool,
}

/// The list of machines cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InstancesError {
    /// Not there, or not text.
    #[error("the machines cannot be read from {0}")]
    Read(PathBuf, #[source] std::io::Error),
    /// A line that is no id.
    #[error("line {line} of {file} is not an instance id")]
    Id {
        /// Where.
        file: PathBuf,
        /// Counts from 1.
        line: usize,
        /// What is wrong.
        #[source]
        source: InvalidId,
    },
    /// Nothing in it.
    #[error("no machines are given: name them, or give --instances-file")]
    None,
}

impl ResetPassword {
    pub(crate) async fn run(self, client: Client, json: bool) -> Result<Exit, CommandError> {
        let stdin_is_taken = self.instances_file.as_ref().is_some_and(|file| file == "-");
        let instances = self.all_instances()?;
        let out = self.password_out(json)?;
        warn_of_plain_http(&client);
        let password = self.password.password(stdin_is_taken, &SystemRandom)?;
        // A generated one must not be lost once machines have it: it is kept before they get it.
        if let Some(out) = &out {
            out.put("the new password", &password)?;
        }
        let accepted = accept(&client, &instances, &password).await;
        if let (Err(error), Some(out)) = (&accepted, &out) {
            take_back(error, out);
        }
        let task = accepted?.task_id;
        if self.no_wait {
            tell_task(task, json);
            return Ok(Exit::DONE);
        }
        wait(&client, task, instances.len(), json).await
    }

    /// Where a generated password goes.
    fn password_out(&self, json: bool) -> Result<Option<SecretOut>, CommandError> {
        if !self.password.generate {
            return Ok(None);
        }
        let out = self.password_out.clone().unwrap_or(SecretOut::Terminal);
        if json && out == SecretOut::Terminal {
            return Err(PasswordError::MixedWithJson.into());
        }
        out.check()?;
        Ok(Some(out))
    }

    fn all_instances(&self) -> Result<Vec<InstanceId>, InstancesError> {
        let mut all = [self.instances.as_slice(), &self.more_instances].concat();
        if let Some(file) = &self.instances_file {
            all.extend(from_file(file)?);
        }
        if all.is_empty() { Err(InstancesError::None) } else { Ok(all) }
    }
}

/// Asks for the reset; the task is durable when this returns.
pub(crate) async fn accept(
    client: &Client,
    instances: &[InstanceId],
    password: &SecretString,
) -> Result<Accepted, ClientError> {
    let parameters =
        Parameters::new().with_list("instanceIds", instances).with_secret("passwd", password);
    client.ask("ResetDevicePasswd", parameters).await
}

/// A refused password is nobody's. Where nobody knows, the file stays.
fn take_back(error: &ClientError, out: &SecretOut) {
    if is_surely_refused(error) {
        out.take_back();
        output::hint("no machine got this password: the request was refused");
    } else {
        output::hint("whether the machines got the password is not known: see `opencpm log`");
    }
}

/// Not without an answer, nor with one that leaves it open: something on the way may have sent the
/// request twice, and a defect may show after the change.
fn is_surely_refused(error: &ClientError) -> bool {
    let is_open = error.is(Condition::Replayed) || error.is(Condition::ServerBug);
    matches!(error, ClientError::Refused { .. }) && !is_open
}

async fn wait(
    client: &Client,
    task: u64,
    machines: usize,
    json: bool,
) -> Result<Exit, CommandError> {
    let progress = Progress::new(machines);
    let waited = wait_for(client, task, &progress).await;
    drop(progress);
    let (data, result) = waited.inspect_err(|_| {
        output::hint(&format!("the task goes on: opencpm task show {task}"));
    })?;
    if json {
        let mut data = data;
        data["taskId"] = task.into();
        output::json(&data);
    } else {
        show_result(task, &result.instance_ids, false);
    }
    Ok(Exit::of_task(result.status()))
}

fn tell_task(task: u64, json: bool) {
    if json {
        output::json(&json!({ "taskId": task }));
    } else {
        output::line(&format!("task {task} is accepted"));
    }
}

/// Prints a summary, then the machines that failed or that have advice; with `all`, every machine.
pub(crate) fn show_result(task: u64, machines: &[MachineResult], all: bool) {
    let count = |status| machines.iter().filter(|machine| machine.status == status).count();
    let mut summary = format!("task {task}: {} succeeded, {} failed", count(1), count(2));
    if count(4) > 0 {
        summary.push_str(&format!(", {} not finished", count(4)));
    }
    output::line(&summary);
    let told = machines.iter().filter(|m| all || m.status != 1 || !m.advice.is_empty());
    let rows: Vec<_> = told.map(row).collect();
    if !rows.is_empty() {
        output::table(["device", "status", "reason and advice"], rows, "");
    }
}

fn row(machine: &MachineResult) -> [String; 3] {
    let status = match machine.status {
        1 => "succeeded",
        2 => "failed",
        _ => "not finished",
    };
    [clean(&machine.instance_id), status.to_owned(), remarks(machine)]
}

/// Why it failed and what else to know, one a line.
pub(crate) fn remarks(machine: &MachineResult) -> String {
    let reason = (!machine.reason.is_empty()).then(|| clean(&machine.reason));
    let advice = machine.advice.iter();
    let advice = advice.map(|advice| clean(&format!("{}: {}", advice.code, advice.text)));
    reason.into_iter().chain(advice).collect::<Vec<_>>().join("\n")
}

fn warn_of_plain_http(client: &Client) {
    let endpoint = &client.profile().endpoint;
    let Some(rest) = endpoint.strip_prefix("http://") else { return };
    let near = ["127.", "localhost", "[::1]"];
    if !near.iter().any(|host| rest.starts_with(host)) {
        tracing::warn!(%endpoint, "the password travels unprotected to the service: use https");
    }
}

fn from_file(file: &OsString) -> Result<Vec<InstanceId>, InstancesError> {
    let path = PathBuf::from(file);
    let mut text = String::new();
    let read = if file == "-" {
        std::io::stdin().lock().read_to_string(&mut text)
    } else {
        std::fs::File::open(&path).and_then(|mut file| file.read_to_string(&mut text))
    };
    read.map_err(|error| InstancesError::Read(path.clone(), error))?;
    let lines = text.lines().map(str::trim).enumerate();
    let ids = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    ids.map(|(n, line)| {
        InstanceId::parse(line).map_err(|source| InstancesError::Id {
            file: path.clone(),
            line: n + 1,
            source,
        })
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_machines_may_hold_comments_and_empty_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("machines");
        std::fs::write(&path, "# rack 7\ncpm-1\n\n cpm-2 \n").unwrap();
        let ids = from_file(&path.clone().into()).unwrap();
        assert_eq!(ids.iter().map(InstanceId::as_str).collect::<Vec<_>>(), ["cpm-1", "cpm-2"]);
        std::fs::write(&path, "cpm-1\ncpm 2\n").unwrap();
        let error = from_file(&path.into()).unwrap_err();
        assert!(error.to_string().starts_with("line 2 of "), "{error}");
    }
}
