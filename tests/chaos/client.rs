//! Clients: each asks for a reset, and insists until it knows what became of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use opencpm_tests::Dice;

use crate::door::{Answer, Dialect, Request};
use crate::field::{Field, OpenTask, pass};
use crate::history::{Event, Reset, Told};

/// Between two resets of one client, at most.
const PACE_MILLIS: u64 = 400;

/// Most devices of a reset.
const BATCH: u64 = 8;

/// One reset in so many takes devices on which others may be working.
const CROWD: u64 = 12;

/// A request without an answer is sent again and again for so long: within the window of its
/// time (contract 2.6), in which its nonce or fingerprint is known.
const INSISTENCE: Duration = Duration::from_secs(200);

/// Between two tries.
const AGAIN: Duration = Duration::from_millis(300);

/// Sends resets until the field is closed.
pub(crate) fn run(field: &Field, mut dice: Dice) {
    while !field.is_closed() {
        pass(Duration::from_millis(dice.roll(PACE_MILLIS)));
        let door = dice.below(field.doors.len());
        let number = 1 + usize::try_from(dice.roll(BATCH)).expect("a few");
        if dice.roll(CROWD) == 0 {
            let crowd = crowd(field, &mut dice, number.max(3));
            reset(field, &mut dice, door, crowd, Manner::Casual);
        } else {
            let devices = field.take(number, &mut dice);
            if !devices.is_empty() {
                reset(field, &mut dice, door, devices, Manner::Insistent);
            }
        }
    }
}

/// Any devices, each once.
fn crowd(field: &Field, dice: &mut Dice, number: usize) -> Vec<usize> {
    let mut all: Vec<_> = (0..field.instances.len()).collect();
    let number = number.min(all.len());
    (0..number).map(|_| all.swap_remove(dice.below(all.len()))).collect()
}

/// How a client deals with silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// It took the devices for itself. It sends the same request again until it has an answer.
    Insistent,
    /// Others may be working on the devices. It leaves it at that.
    Casual,
}

/// Asks for a reset and returns the task, once it is known. Devices that were taken are given
/// back when it has ended, or at once when there is none.
pub(crate) fn reset(
    field: &Field,
    dice: &mut Dice,
    door: usize,
    devices: Vec<usize>,
    manner: Manner,
) -> Option<u64> {
    let dialect = if dice.roll(2) == 0 { Dialect::V2 } else { Dialect::V3 };
    let salt = dice.roll(10_000);
    let asked =
        field.history.asks((door, dialect), devices, |number| format!("R{number:06}!{salt:04}"));
    let ids = field.ids(&asked.devices);
    let request = field.doors[door].reset(dialect, &ids, &asked.password);
    let told = answer(field, dice, &asked, &request, manner);
    let number = asked.number;
    field.history.add(Event::Told { reset: number, told: told.clone() });
    let taken = if manner == Manner::Insistent { asked.devices.clone() } else { Vec::new() };
    match told {
        Told::Task(id) => {
            field.opened(OpenTask { id, devices: taken });
            Some(id)
        }
        Told::Refused(_) | Told::Nothing => {
            field.give_back(&taken);
            None
        }
    }
}

fn answer(
    field: &Field,
    dice: &mut Dice,
    asked: &Arc<Reset>,
    request: &Request,
    manner: Manner,
) -> Told {
    let begin = Instant::now();
    let mut first = true;
    let mut door = asked.door;
    loop {
        let why = match field.doors[door].send(request) {
            Answer::Data(data) => match task_id(&data) {
                Some(task) => return Told::Task(task),
                None => format!("no task id: {data}"),
            },
            Answer::Refused(refusal) if first => return Told::Refused(refusal),
            // The first try may have been the one: the log tells its task.
            Answer::Refused(refusal) if refusal.is_replay() => {
                match task_in_log(field, door, asked) {
                    Some(task) => return Told::Task(task),
                    None => refusal.to_string(),
                }
            }
            // This try was refused; the first may still be under way.
            Answer::Refused(refusal) => refusal.to_string(),
            Answer::Nothing(why) => why,
            Answer::Strange(what) => {
                field.history.add(Event::Puzzled { task: None, what: what.clone() });
                what
            }
        };
        field.history.add(Event::Unanswered { reset: asked.number, why });
        if manner == Manner::Casual || begin.elapsed() > INSISTENCE {
            return Told::Nothing;
        }
        first = false;
        pass(AGAIN);
        // The replay table holds across nodes.
        door = dice.below(field.doors.len());
    }
}

fn task_id(data: &serde_json::Value) -> Option<u64> {
    data["taskId"].as_u64().or_else(|| data["TaskId"].as_u64())
}

/// The newest task of the first device, if it is a reset of these devices. Nobody else resets
/// exactly these.
fn task_in_log(field: &Field, door: usize, asked: &Reset) -> Option<u64> {
    let door = &field.doors[door];
    let ids = field.ids(&asked.devices);
    let Answer::Data(log) = door.read("DescribeDeviceOperationLog", &[("instanceId", ids[0])])
    else {
        return None;
    };
    let newest = log["logs"][0]["taskId"].as_str()?.parse().ok()?;
    let known = field.history.is_told(newest);
    let asked_for = [("taskId", &*format!("{newest}"))];
    let Answer::Data(data) = door.read("DescriptionOperationResult", &asked_for) else {
        return None;
    };
    let its = data["instanceIds"].as_array()?.iter().map(|one| one["instanceId"].as_str());
    let same = its.eq(ids.into_iter().map(Some));
    (same && !known).then_some(newest)
}
