//! Reading.

use serde_json::json;

use crate::dialect::{Ability, list, number, text};
use crate::trial::{Trial, ids};

pub(super) fn devices(trial: &mut Trial<'_>) {
    let alive = trial.alive();
    let mut wanted = ids(&alive[..2]);
    wanted.push("cpm-nosuchone");
    let mut seen = Vec::new();
    for offset in 0..3 {
        let with = trial.dialect().devices(&wanted, (offset, 1));
        let answer = trial.does(Ability::Devices, &with);
        let (total, page) = trial.dialect().device_page(&answer);
        assert_eq!(total, 2, "of all pages; who is not there is not counted: {answer}");
        seen.extend(page.into_iter().map(|(id, _)| id));
    }
    seen.sort();
    let mut expected = ids(&alive[..2]);
    expected.sort_unstable();
    assert_eq!(seen, expected, "each on one page");
}

pub(super) fn log(trial: &mut Trial<'_>) {
    let device = &trial.alive()[..1];
    let password = trial.new_password();
    let task = trial.reset(device, &password);
    trial.succeeds(task, device, &password);
    let with = trial.dialect().log(&device[0].instance_id);
    // With a key of its own: the lab lets a key look once in a minute.
    let made = trial.makes_account_key(&[]);
    let answer = trial.does_with(made.key(), Ability::Log, &with, json!({}));
    let newest = trial.dialect().log_entries(&answer).into_iter().next();
    assert_eq!(newest, Some((task, "resetPasswd".to_owned(), 1)), "{answer}");
}

/// Only API 2.0 has it, and the one client that knows it gives no parameters.
pub(super) fn agent_status(trial: &mut Trial<'_>) {
    let answer = trial.does(Ability::AgentStatus, &json!({}));
    assert_eq!(number(&answer["totalNum"]), trial.lab.ready.devices.len() as u64, "{answer}");
    for agent in list(&answer["agentList"]) {
        let id = text(&agent["instanceId"]);
        let connected = trial.alive().iter().any(|device| device.instance_id == id);
        assert_eq!(number(&agent["agentStatus"]) == 1, connected, "{agent}");
    }
}
