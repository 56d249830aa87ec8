//! Simulated machines beside real ones: everything but the file system is real.

use std::time::Duration;

use opencpm_tests::{Lab, eventually};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(60);
const PASSWORD: &str = "N3w!pass@word";

/// A lab of simulated machines only.
fn lab(simulated: usize, options: &[&str]) -> Lab {
    Lab::start_with(0, |command| {
        command.args(["--simulated", &simulated.to_string()]).args(options);
    })
}

fn simulated(lab: &Lab) -> Vec<&str> {
    lab.ready.simulated.iter().map(String::as_str).collect()
}

/// The status and reason of each device, in the order of the request.
fn outcomes(task: &Value) -> Vec<(u64, &str)> {
    let devices = task["instanceIds"].as_array().expect("a list").iter();
    let outcome = |device: &'_ Value| device["status"].as_u64().expect("a status");
    devices.map(|d| (outcome(d), reason(d))).collect()
}

/// The reason's name.
fn reason(device: &Value) -> &str {
    let text = device["reason"].as_str().unwrap_or_default();
    text.split([':', ' ']).next().unwrap_or_default()
}

#[test]
fn one_call_resets_200_simulated_machines_beside_a_real_one_and_proves_each_success() {
    let lab = Lab::start_with(1, |command| {
        command.args(["--simulated", "200"]);
    });
    let client = lab.client();
    let all = [lab.alive(), simulated(&lab)].concat();
    assert_eq!(all.len(), 201);

    let task = client.reset(&all, PASSWORD).expect("accepted");
    let data = client.wait(task, LIMIT);

    assert_eq!(data["status"], 1, "{data}");
    let verified = client.call("VerifyTask", &[("taskId", &task.to_string())]);
    let devices = verified["data"]["devices"].as_array().expect("a list");
    assert_eq!(devices.len(), 201);
    assert!(devices.iter().all(|device| device["verified"] == true), "{verified}");
    // Sealed to the keys that the reports brought.
    let task = client.reset(&all, "An0ther!pass").expect("accepted");
    assert_eq!(client.wait(task, LIMIT)["status"], 1);
    lab.stop();
}

#[test]
fn simulated_machines_fail_fall_silent_are_late_break_off_and_vanish_as_asked_for() {
    let faults = ["fails=disk_full", "silent", "late=20", "breaks", "vanishes"];
    let options: Vec<_> = faults.iter().flat_map(|fault| ["--fault", fault]).collect();
    let lab = lab(6, &[&options[..], &["--job-deadline", "15"]].concat());
    let (client, all) = (lab.client(), simulated(&lab));

    let task = client.reset(&all, PASSWORD).expect("accepted");
    let data = client.wait(task, LIMIT);

    let seen = outcomes(&data);
    assert_eq!(seen[0], (2, "disk_full"));
    assert_eq!(seen[1], (2, "outcome_unknown"), "silent");
    assert_eq!(seen[3].0, 1, "broke off, came back and told");
    assert_eq!(seen[4], (2, "outcome_unknown"), "vanished");
    assert_eq!(seen[5].0, 1, "good");
    eventually("the late report", LIMIT, || (outcomes(&client.task(task))[2].0 == 1).then_some(()));
    let refusal = client.reset(&all, PASSWORD).expect_err("refused");
    assert_eq!(refusal["code"], 12006, "{refusal}");
    let message = refusal["message"].as_str().expect("a message");
    let named = all.iter().filter(|id| message.contains(**id)).collect::<Vec<_>>();
    assert_eq!(named, [&all[4]], "the vanished one");
}

#[test]
fn a_lab_that_was_killed_goes_on_with_the_same_simulated_machines() {
    let mut lab = lab(5, &[]);
    let before = lab.ready.simulated.clone();
    let task = lab.client().reset(&simulated(&lab), PASSWORD).expect("accepted");
    assert_eq!(lab.client().wait(task, LIMIT)["status"], 1);

    lab.start_again();

    assert_eq!(lab.ready.simulated, before);
    let task = lab.client().reset(&simulated(&lab), PASSWORD).expect("accepted");
    assert_eq!(lab.client().wait(task, LIMIT)["status"], 1);
}
