//! One signed call changes root's password on many machines, and says the truth about each.

use std::time::Duration;

use opencpm_tests::{Lab, root_hash, verifies};
use rustix::process::{Signal, kill_process};

const LIMIT: Duration = Duration::from_secs(40);

#[test]
fn one_call_resets_every_machine_and_each_is_verified_on_disk() {
    let lab = Lab::start(3);
    let client = lab.client();
    let before: Vec<_> = lab.ready.devices.iter().map(|device| root_hash(&device.root)).collect();

    let task = client.reset(&lab.alive(), "N3w!pass@word").expect("accepted");
    let data = client.wait(task, LIMIT);

    assert_eq!(data["status"], 1, "{data}");
    assert_eq!(data["instanceIds"], data["resourceIds"]);
    for (device, before) in lab.ready.devices.iter().zip(before) {
        let after = root_hash(&device.root);
        assert_ne!(after, before);
        assert!(verifies(&after, "N3w!pass@word"), "{}", device.root.display());
        assert!(!verifies(&after, "N3w!pass@wore"));
    }
    let ids: Vec<_> = data["instanceIds"].as_array().expect("a list").iter().collect();
    let order: Vec<_> = ids.iter().map(|d| d["instanceId"].as_str().expect("an id")).collect();
    assert_eq!(order, lab.alive(), "the order of the request");
}

#[test]
fn one_machine_without_an_agent_refuses_the_whole_batch_and_is_named() {
    let lab = Lab::start_with(2, |command| {
        command.args(["--offline", "1"]);
    });
    let client = lab.client();
    let offline = lab.ready.devices.iter().find(|device| !device.alive).expect("one is offline");
    let before: Vec<_> = lab.ready.devices.iter().map(|device| root_hash(&device.root)).collect();
    let all: Vec<_> = lab.ready.devices.iter().map(|d| d.instance_id.as_str()).collect();

    let refusal = client.reset(&all, "N3w!pass@word").expect_err("refused");

    assert_eq!(refusal["code"], 12006, "{refusal}");
    assert_eq!(refusal["codeDesc"], "OperationDenied.TsysAgentNotAlive");
    let message = refusal["message"].as_str().expect("a message");
    assert!(message.contains(&offline.instance_id) && !message.contains(lab.alive()[0]));
    assert!(!message.contains("N3w!pass@word"));
    let after: Vec<_> = lab.ready.devices.iter().map(|device| root_hash(&device.root)).collect();
    assert_eq!(after, before, "nothing was changed");
    client.reset(&lab.alive(), "N3w!pass@word").expect("nothing was left in progress");
}

#[test]
fn a_device_of_another_account_is_as_if_unknown() {
    let lab = Lab::start(1);
    let foreign = lab.ready.other_account.instance_id.as_str();
    for unknown in [foreign, "cpm-nosuchone"] {
        let refusal = lab.client().reset(&[unknown], "N3w!pass@word").expect_err("refused");
        assert_eq!(refusal["code"], 10001, "{refusal}");
        let message = refusal["message"].as_str().expect("a message");
        assert_eq!(message.replace(unknown, "ID"), "(10001)ID: there is no such device");
    }
    // Its owner is told what is the matter with it.
    let refusal = lab.other_client().reset(&[foreign], "N3w!pass@word").expect_err("refused");
    assert_eq!(refusal["code"], 12006, "{refusal}");

    let task = lab.client().reset(&lab.alive(), "N3w!pass@word").expect("accepted").to_string();
    let refusal = lab.other_client().call("DescriptionOperationResult", &[("taskId", &task)]);
    assert_eq!(refusal["code"], 10001, "{refusal}");
}

#[test]
fn the_same_signed_request_is_accepted_once() {
    let lab = Lab::start(1);
    let client = lab.client();
    let parameters = [("instanceIds.0", lab.alive()[0]), ("passwd", "N3w!pass@word")];
    let body = client.signed_form("POST", "ResetDevicePasswd", &parameters, "4711");
    let first = client.post(&body).expect("an answer");
    assert_eq!(first["code"], 0, "{first}");
    client.wait(first["data"]["taskId"].as_u64().expect("a number"), LIMIT);
    let second = client.post(&body).expect("an answer");
    assert_eq!(second["code"], 4500, "{second}");
}

#[test]
fn a_machine_that_stands_still_ends_by_its_deadline_and_the_late_report_corrects_it() {
    let lab = Lab::start(1);
    let client = lab.client();
    let agent = lab.agents()[0];
    kill_process(agent, Signal::STOP).expect("the agent runs");

    let task = client.reset(&lab.alive(), "N3w!pass@word").expect("still connected");
    let data = client.wait(task, LIMIT);
    assert_eq!(data["status"], 2, "{data}");
    let reason = data["instanceIds"][0]["reason"].as_str().expect("a reason");
    assert!(reason.starts_with("outcome_unknown"), "{reason}");

    kill_process(agent, Signal::CONT).expect("the agent runs");
    let data = opencpm_tests::eventually("the late report", LIMIT, || {
        let data = client.task(task);
        let reason = data["instanceIds"][0]["reason"].as_str().unwrap_or_default();
        (!reason.starts_with("outcome_unknown")).then_some(data)
    });
    let truth = verifies(&root_hash(&lab.ready.devices[0].root), "N3w!pass@word");
    assert_eq!(data["status"] == 1, truth, "{data}");
}

#[test]
fn the_log_and_the_agent_status_tell_what_happened() {
    let lab = Lab::start(1);
    let client = lab.client();
    let device = lab.alive()[0];
    let task = client.reset(&[device], "N3w!pass@word").expect("accepted");
    client.wait(task, LIMIT);

    let log = client.call("DescribeDeviceOperationLog", &[("instanceId", device)]);
    assert_eq!(log["data"]["totalCount"], 1, "{log}");
    let entry = &log["data"]["logs"][0];
    assert_eq!(entry["taskId"], task.to_string());
    assert_eq!(entry["taskName"], "resetPasswd");
    assert_eq!(entry["status"], "1");

    let status = client.call("DescribeBmAgentStatus", &[("instanceIds.0", device)]);
    assert_eq!(status["data"]["agentList"][0]["agentStatus"], 1, "{status}");
    let devices = client.call("DescribeDevice", &[("instanceIds.0", device)]);
    assert_eq!(devices["data"]["totalNum"], 1, "{devices}");
    assert_eq!(devices["data"]["deviceList"][0]["operateStatus"], "1");
}
