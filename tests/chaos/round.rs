//! One round: something goes wrong while clients go on, is taken away, and everything is well
//! again.

use std::time::{Duration, Instant};

use opencpm_tests::Dice;
use opencpm_tests::cluster::Cluster;

use crate::checker::Checker;
use crate::client::{Manner, reset};
use crate::door::{Answer, Dialect};
use crate::field::{Field, pass};
use crate::history::Event;
use crate::nemesis::Fault;
use crate::watcher;

/// Before the strike, at most: tasks are in every state by then.
const BEFORE_MILLIS: u64 = 700;

/// After a fault was taken away, everything works again within this.
const HEALING: Duration = Duration::from_secs(60);

/// Devices of the reset that shows that a node works.
const PROBE: usize = 30;

/// Does one round and returns what is wrong after it.
pub(crate) fn run(
    field: &Field,
    cluster: &mut Cluster,
    dice: &mut Dice,
    checker: &mut Checker,
    fault: &Fault,
) -> Vec<String> {
    pass(Duration::from_millis(dice.roll(BEFORE_MILLIS)));
    field.history.add(Event::Struck { what: fault.to_string() });
    fault.strike(cluster);
    pass(fault.lasts);
    fault.heal(cluster);
    field.history.add(Event::Healed);
    let healed = becomes_whole(field, cluster, dice);
    let mut wrong = checker.check(field);
    wrong.extend(healed.err());
    wrong
}

/// Waits until every agent is connected by every API node's word, and a reset through each of
/// them succeeds.
pub(crate) fn becomes_whole(
    field: &Field,
    cluster: &mut Cluster,
    dice: &mut Dice,
) -> Result<Duration, String> {
    let begin = Instant::now();
    let mut missing = Vec::new();
    for door in 0..field.doors.len() {
        loop {
            cluster.tend();
            match is_whole(field, door, dice) {
                Ok(()) => break,
                Err(what) => missing.push(what),
            }
            if begin.elapsed() > HEALING {
                missing.dedup();
                return Err(format!("not whole again within {HEALING:?}: {missing:#?}"));
            }
            pass(Duration::from_millis(100));
        }
    }
    field.history.add(Event::Whole);
    Ok(begin.elapsed())
}

fn is_whole(field: &Field, door: usize, dice: &mut Dice) -> Result<(), String> {
    let status = field.doors[door].read("DescribeBmAgentStatus", &[("limit", "1000")]);
    let Answer::Data(status) = status else { return Err(format!("{status:?}")) };
    let agents = status["agentList"].as_array().ok_or("no list of agents")?;
    let away = agents.iter().filter(|agent| agent["agentStatus"] != 1);
    let away: Vec<_> = away.filter_map(|agent| agent["instanceId"].as_str()).collect();
    if !away.is_empty() || agents.len() != field.instances.len() {
        return Err(format!("{} of {} agents are away: {away:?}", away.len(), agents.len()));
    }
    probe(field, door, dice)
}

fn probe(field: &Field, door: usize, dice: &mut Dice) -> Result<(), String> {
    let devices = field.take(PROBE, dice);
    if devices.is_empty() {
        return Err("every device is busy".to_owned());
    }
    let task = reset(field, dice, door, devices, Manner::Insistent);
    let task = task.ok_or("a reset is refused")?;
    let begin = Instant::now();
    while begin.elapsed() < HEALING {
        match field.end_of(task) {
            Some(ended) if ended.succeeded => return Ok(()),
            Some(_) => return Err(format!("task {task} failed: {}", failures(field, door, task))),
            None => pass(Duration::from_millis(20)),
        }
    }
    Err(format!("task {task} does not end"))
}

/// What is said of the devices that did not succeed.
fn failures(field: &Field, door: usize, task: u64) -> String {
    let said = watcher::look(field, door, Dialect::V2, task).unwrap_or_default();
    let all = said["instanceIds"].as_array().into_iter().flatten();
    all.filter(|one| one["status"] != 1).map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
