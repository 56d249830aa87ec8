//! `--demo`: one reset through the public API, and what it did to each machine.

use serde_json::Value;

use super::LabError;
use super::deployment::Deployment;
use super::machine::Machine;
use super::scratch::{RootEntry, root_hash};
use crate::client::Parameters;
use crate::client::answer::MachineResult;
use crate::command::reset_password::{accept, remarks};
use crate::command::{Progress, new_password, wait_for};
use crate::exit::Exit;
use crate::output::{self, field};
use crate::system::SystemRandom;

/// Characters of a hash that are shown: scheme and a part of the salt.
const SHOWN: usize = 12;

/// Resets every machine, shows each one, and tells whether all went as it should.
pub(super) async fn run(deployment: &Deployment, machines: &[Machine]) -> Result<Exit, LabError> {
    let machines: Vec<_> = machines.iter().filter(|machine| machine.alive).collect();
    let before = hashes(&machines)?;
    let client = &deployment.client;
    output::line(&format!(
        "{} machines are connected to {}. One of them has two root entries.\n\
         Resetting root's password on all of them with one signed call:\n",
        machines.len(),
        deployment.https(),
    ));
    let instances: Vec<_> = machines.iter().map(|machine| machine.instance.clone()).collect();
    let task = accept(client, &instances, &new_password::generate(&SystemRandom)).await?.task_id;
    let progress = Progress::new(machines.len());
    let waited = wait_for(client, task, &progress).await;
    drop(progress);
    let (_, result) = waited?;
    let findings = client.call("VerifyTask", Parameters::new().with("taskId", task)).await?;
    let after = hashes(&machines)?;
    let outcomes: Vec<_> = machines
        .iter()
        .zip(before.iter().zip(&after))
        .filter_map(|(machine, (before, after))| {
            let is_it = |result: &&MachineResult| result.instance_id == machine.instance.as_str();
            let result = result.instance_ids.iter().find(is_it)?;
            let proved = is_proved(&findings, machine);
            Some(Outcome { machine, before, after, result, proved })
        })
        .collect();
    show(&outcomes);
    Ok(conclude(task, &outcomes, machines.len()))
}

/// What happened to one machine.
struct Outcome<'a> {
    machine: &'a Machine,
    before: &'a str,
    after: &'a str,
    result: &'a MachineResult,
    proved: bool,
}

impl Outcome<'_> {
    /// A good machine has the new password, proved by its own signature. The odd one was left
    /// alone and said why.
    fn is_as_expected(&self) -> bool {
        let changed = self.before != self.after;
        match self.machine.entry {
            RootEntry::Usual => self.result.status == 1 && self.proved && changed,
            RootEntry::Twice => {
                let reason = opencpm_domain::Reason::DuplicateRootEntry;
                self.result.status == 2 && self.result.reason.starts_with(reason.name()) && !changed
            }
        }
    }

    fn verification(&self) -> &'static str {
        match (self.result.status, self.proved) {
            (1, true) => "verified on disk, signed by the machine",
            (1, false) => "NOT PROVED",
            (2, _) => "failed, file untouched",
            _ => "not finished",
        }
    }
}

fn show(outcomes: &[Outcome<'_>]) {
    let rows = outcomes.iter().map(|outcome| {
        let change = if outcome.before == outcome.after {
            format!("{} (as before)", prefix(outcome.before))
        } else {
            format!("{} -> {}", prefix(outcome.before), prefix(outcome.after))
        };
        let Outcome { machine, result, .. } = outcome;
        [machine.name.clone(), change, outcome.verification().to_owned(), remarks(result)]
    });
    let header = ["machine", "root's hash in its shadow file", "verification", "reason and advice"];
    output::table(header, rows.collect(), "no machines");
}

fn conclude(task: u64, outcomes: &[Outcome<'_>], machines: usize) -> Exit {
    let expected = outcomes.iter().filter(|outcome| outcome.is_as_expected()).count();
    if expected == machines {
        let good = outcomes.iter().filter(|outcome| outcome.result.status == 1).count();
        let odd = machines - good;
        output::line(&format!(
            "\nTask {task}: {good} machines have the new password, {odd} refused it and said why."
        ));
        return Exit::DONE;
    }
    for outcome in outcomes.iter().filter(|outcome| !outcome.is_as_expected()) {
        output::hint(&format!("unexpected: {}", outcome.machine.name));
    }
    output::hint("the demo did not go as it should");
    Exit::LOCAL
}

fn hashes(machines: &[&Machine]) -> Result<Vec<String>, LabError> {
    let read = |machine: &&Machine| {
        root_hash(&machine.root).map_err(|error| LabError::Shadow(machine.name.clone(), error))
    };
    machines.iter().map(read).collect()
}

fn is_proved(findings: &Value, machine: &Machine) -> bool {
    let mut devices = findings["devices"].as_array().into_iter().flatten();
    devices.any(|device| {
        field(device, "instanceId") == machine.instance.as_str()
            && device["verified"].as_bool() == Some(true)
    })
}

/// Scheme and a part of the salt; never of what comes after the last `$`.
fn prefix(hash: &str) -> String {
    let public = hash.rfind('$').map_or("", |end| &hash[..end]);
    let shown: String = public.chars().take(SHOWN).collect();
    format!("{shown}...")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_the_digest_is_shown() {
        assert_eq!(prefix("$y$j9T$abcdefghijklmnopqrstuv$DIGEST"), "$y$j9T$abcde...");
        assert_eq!(prefix("$6$ab$DIGESTDIGEST"), "$6$ab...");
        assert_eq!(prefix("!$6$salt$DIGEST"), "!$6$salt...");
        assert_eq!(prefix("abJnggxhB/yWI"), "...");
    }
}
