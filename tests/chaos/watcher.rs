//! Asks what became of tasks, through any door and in both dialects, until they have ended.

use std::time::{Duration, Instant};

use opencpm_tests::Dice;
use serde_json::Value;

use crate::door::{Answer, Dialect};
use crate::field::{Ended, Field, pass};
use crate::history::Event;

/// Between two looks of one watcher, at least.
const PACE: Duration = Duration::from_millis(25);

/// After its time is over, a task that is still open is looked at for so long.
const LAST_LOOKS: Duration = Duration::from_secs(60);

/// Watches until the clients have gone and nothing is open any more.
pub(crate) fn run(field: &Field, mut dice: Dice) {
    let mut alone = None;
    loop {
        pass(PACE);
        if field.is_deserted() && alone.get_or_insert_with(Instant::now).elapsed() > LAST_LOOKS {
            return;
        }
        let Some(task) = field.next_open() else {
            if field.is_deserted() {
                return;
            }
            continue;
        };
        let door = dice.below(field.doors.len());
        let dialect = if dice.roll(4) == 0 { Dialect::V3 } else { Dialect::V2 };
        match look(field, door, dialect, task.id).map(|data| end(dialect, &data)) {
            Some(Some(ended)) => {
                field.give_back(&task.devices);
                field.ended(task.id, ended);
            }
            _ => field.opened(task),
        }
    }
}

/// Asks about a task and writes down what is said.
pub(crate) fn look(field: &Field, door: usize, dialect: Dialect, task: u64) -> Option<Value> {
    let asked = Instant::now();
    let door = &field.doors[door];
    let what = match door.send(&door.task(dialect, task)) {
        Answer::Data(data) => {
            field.history.add(Event::Looked { task, asked, dialect, data: data.clone() });
            return Some(data);
        }
        Answer::Nothing(_) => return None,
        Answer::Refused(refusal) if refusal.is_internal() || refusal.is_replay() => return None,
        Answer::Refused(refusal) => refusal.to_string(),
        Answer::Strange(what) => what,
    };
    field.history.add(Event::Puzzled { task: Some(task), what });
    None
}

/// Its end, if it has one.
fn end(dialect: Dialect, data: &Value) -> Option<Ended> {
    let status = match dialect {
        Dialect::V2 => &data["status"],
        Dialect::V3 => &data["TaskStatus"],
    };
    let status = status.as_u64()?;
    (status & 4 == 0).then_some(Ended { succeeded: status == 1 })
}
