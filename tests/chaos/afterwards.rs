//! When nothing goes on any more: every task is asked for once more, and every device's log is
//! read.

use std::collections::BTreeMap;

use opencpm_tests::cluster::Cluster;
use opencpm_tests::root_hash;

use crate::checker::Checker;
use crate::door::{Answer, Dialect};
use crate::field::Field;
use crate::history::Told;
use crate::watcher;

/// What is wrong at the end.
pub(crate) fn check(field: &Field, cluster: &Cluster, checker: &mut Checker) -> Vec<String> {
    let mut wrong = Vec::new();
    let tasks: Vec<u64> = checker.tasks.keys().copied().collect();
    for (number, task) in tasks.into_iter().enumerate() {
        let door = number % field.doors.len();
        if watcher::look(field, door, Dialect::V2, task).is_none() {
            wrong.push(format!("task {task} is not told at the end"));
        }
    }
    wrong.extend(checker.check(field));
    for (number, machine) in cluster.machines.iter().enumerate() {
        let seen = field.observer.seen(number);
        let last = seen.hashes.last().map(|last| last.hash.as_str());
        if last != Some(root_hash(&machine.root).as_str()) {
            wrong.push(format!("{}: the observer missed the last hash", machine.instance));
        }
        match log(field, number) {
            Ok(log) => wrong.extend(log_is_true(field, checker, number, &log)),
            Err(why) => wrong.push(format!("{}: {why}", machine.instance)),
        }
    }
    wrong
}

/// A device's tasks, the oldest first.
fn log(field: &Field, device: usize) -> Result<Vec<u64>, String> {
    let mut all = Vec::new();
    loop {
        let offset = all.len().to_string();
        let asked = [
            ("instanceId", field.instances[device].as_str()),
            ("offset", offset.as_str()),
            ("limit", "100"),
        ];
        let answer = field.doors[0].read("DescribeDeviceOperationLog", &asked);
        let Answer::Data(data) = answer else { return Err(format!("{answer:?}")) };
        let page = data["logs"].as_array().ok_or("no log")?;
        for entry in page {
            let id = |name: &str| entry[name].as_str().and_then(|id| id.parse::<u64>().ok());
            let ids = id("id").zip(id("taskId"));
            all.push(ids.ok_or_else(|| format!("not the documented form: {entry}"))?);
        }
        if page.is_empty() || Some(all.len() as u64) == data["totalCount"].as_u64() {
            // A moved clock changes the order of times, not that of numbers.
            all.sort_unstable();
            return Ok(all.into_iter().map(|(_, task)| task).collect());
        }
    }
}

/// Everything in the log was asked for; what was carried out was so in the log's order, so that
/// the last of it is what is on the disk.
pub(crate) fn log_is_true(
    field: &Field,
    checker: &Checker,
    device: usize,
    log: &[u64],
) -> Vec<String> {
    let instance = &field.instances[device];
    let mut wrong = Vec::new();
    let mut places = BTreeMap::new();
    for (place, id) in log.iter().enumerate() {
        match checker.tasks.get(id) {
            Some(task) => {
                places.insert(task.reset, place);
            }
            None if silent(checker, device) => {}
            None => wrong.push(format!("{instance}: nobody was told of task {id}")),
        }
    }
    let order: Vec<_> = checker.made(device).iter().filter_map(|reset| places.get(reset)).collect();
    if !order.is_sorted() {
        wrong.push(format!("{instance}: an older reset was carried out after a newer one"));
    }
    for known in &checker.resets {
        let told = matches!(known.told, Some(Told::Task(_)));
        let its = known.reset.devices.contains(&device);
        if told && its && !places.contains_key(&known.reset.number) {
            wrong.push(format!("{instance}: reset {} is not in the log", known.reset.number));
        }
    }
    wrong
}

/// Whether a client never heard what became of a reset of this device.
fn silent(checker: &Checker, device: usize) -> bool {
    checker.resets.iter().any(|known| {
        matches!(known.told, Some(Told::Nothing)) && known.reset.devices.contains(&device)
    })
}
