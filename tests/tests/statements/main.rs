//! A request takes as many SQL statements for thousands of devices as for two, in both dialects:
//! its acceptance, every look at its task, and the lists of its devices. Real requests over HTTP,
//! through the real edge and operations to a real store, whose simulated devices do the job.
//!
//! `DEVICES` in the environment is how many there are, 2,000 unless it says otherwise. The largest
//! request of the contract, by hand:
//! `DEVICES=100000 cargo test --release -p opencpm-tests --test statements -- --nocapture`

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "in a test a failed expectation is a failed test"
)]

mod client;
mod site;

use serde_json::{Value, json};

use client::{Client, Dialect};
use site::Site;

/// How many devices there are, where nobody says.
const MANY: u32 = 2_000;

/// How many the others are compared with.
const FEW: usize = 2;

#[test]
fn a_request_takes_as_many_sql_statements_for_thousands_of_devices_as_for_two() {
    let many = std::env::var("DEVICES").map_or(MANY, |many| many.parse().expect("a number"));
    let site = Site::start(many);
    for dialect in [Dialect::V2, Dialect::V3] {
        let client = site.client(dialect);
        let of_few = statements(&site, &client, &site.instances()[..FEW]);
        let of_all = statements(&site, &client, site.instances());
        for ((what, few), (_, all)) in of_few.iter().zip(&of_all) {
            println!("{dialect}: {what} {few} statements for {FEW}, {all} for {many}");
        }
        assert_eq!(of_few, of_all);
    }
    site.stop();
}

/// What a reset of these devices takes, and then each question about it and them.
fn statements(site: &Site, client: &Client, ids: &[String]) -> Vec<(&'static str, u64)> {
    let all = (["instanceIds", "InstanceIds"], json!(ids));
    let reset = [all.clone(), (["passwd", "Password"], json!("abce1234"))];
    let (answer, accept) =
        site.count(|| client.ask(["ResetDevicePasswd", "ResetDevicePassword"], &reset));
    let task = &answer[client.dialect.of(["taskId", "TaskId"])];
    site.wait(task.as_u64().unwrap_or_else(|| panic!("{answer}")));

    let task = [(["taskId", "TaskId"], task.clone())];
    let all = [all];
    let (status, total) = (["status", "TaskStatus"], ["totalNum", "TotalCount"]);
    let (succeeded, length) = (json!(1), json!(ids.len()));
    let result = ["DescriptionOperationResult", "DescribeOperationResult"];
    let (devices, agents) = (["DescribeDevice", "DescribeDevices"], ["DescribeBmAgentStatus"; 2]);
    let questions: [(_, _, &[_], _, &Value); 6] = [
        ("status, reports checked", result, &task, status, &succeeded),
        ("status, again", result, &task, status, &succeeded),
        ("task", ["DescribeTask"; 2], &task, status, &succeeded),
        ("verification", ["VerifyTask"; 2], &task, ["verified", "Verified"], &json!(true)),
        ("devices", devices, &all, total, &length),
        ("agents", agents, &all, total, &length),
    ];
    // API 3.0 has no question about agents.
    let known = questions.into_iter().filter(|q| client.dialect == Dialect::V2 || q.0 != "agents");
    let asked = known.map(|(what, action, parameters, field, expected)| {
        let (answer, count) = site.count(|| client.ask(action, parameters));
        assert_eq!(&answer[client.dialect.of(field)], expected, "{what}");
        (what, count)
    });
    std::iter::once(("accept", accept)).chain(asked).collect()
}
