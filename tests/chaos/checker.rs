//! Compares what clients were told with what was seen of the machines' shadow files.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use opencpm_tests::Crypt;
use opencpm_tests::cluster::Seen;

use crate::disturbance::Disturbances;
use crate::door::Refusal;
use crate::field::Field;
use crate::history::{Entry, Event, Reset, Told};
use crate::said::Said;

/// What is known so far, and what is wrong with it.
pub(crate) struct Checker {
    deadline: Duration,
    crypt: Crypt,
    pub(crate) resets: Vec<Known>,
    pub(crate) tasks: BTreeMap<u64, Task>,
    devices: Vec<Device>,
    disturbances: Disturbances,
    /// Successes whose file was replaced before the observer came to read it.
    pub(crate) unseen: u32,
    /// Answers that clients waited for in vain.
    pub(crate) unanswered: u32,
    wrong: Vec<String>,
    /// Everything that was wrong so far.
    complained: BTreeSet<String>,
}

/// A reset and its fate.
pub(crate) struct Known {
    pub(crate) reset: Arc<Reset>,
    /// Nothing while its client still asks.
    pub(crate) told: Option<Told>,
}

/// A task that a client was told of.
pub(crate) struct Task {
    /// Its reset's number.
    pub(crate) reset: usize,
    accepted: Instant,
    /// By device, in the order of the request.
    pub(crate) said: Vec<Said>,
    /// Its lateness was complained of.
    late: bool,
}

#[derive(Default)]
struct Device {
    /// The numbers of resets that name it and are not on its disk yet.
    wanted: Vec<usize>,
    /// The resets that made the hashes on its disk, in their order.
    made: Vec<usize>,
    /// Hashes that were looked at.
    looked_at: usize,
    /// Replacements that nobody could read and no success was counted for.
    missed: u32,
    counted: u32,
}

/// A task has ended so long after its deadline (design section 2.3).
const GRACE: Duration = Duration::from_secs(5);

impl Checker {
    pub(crate) fn new(deadline: Duration, devices: usize) -> Self {
        let mut all = Vec::new();
        all.resize_with(devices, Device::default);
        Self {
            deadline,
            crypt: Crypt::start(),
            resets: Vec::new(),
            tasks: BTreeMap::new(),
            devices: all,
            disturbances: Disturbances::default(),
            unseen: 0,
            unanswered: 0,
            wrong: Vec::new(),
            complained: BTreeSet::new(),
        }
    }

    /// Looks at everything that happened since the last time and returns what is wrong with it.
    pub(crate) fn check(&mut self, field: &Field) -> Vec<String> {
        // A reset that begins later may be on a disk before we look there.
        let until = Instant::now();
        let news = field.history.news();
        // What was told is older than what is seen now.
        field.observer.catch_up();
        self.wrong.extend(field.observer.faults());
        let mut touched = Vec::new();
        for entry in &news {
            self.take(field, entry, &mut touched);
        }
        for number in 0..self.devices.len() {
            let seen = field.observer.seen(number);
            touched.extend(self.look_at(field, number, &seen, until));
        }
        touched.sort_unstable();
        touched.dedup();
        for task in touched {
            self.compare(field, task);
        }
        let wrong = std::mem::take(&mut self.wrong);
        wrong.into_iter().filter(|what| self.complained.insert(what.clone())).collect()
    }

    fn take(&mut self, field: &Field, entry: &Entry, touched: &mut Vec<u64>) {
        match &entry.event {
            Event::Asked(reset) => {
                for device in &reset.devices {
                    self.devices[*device].wanted.push(reset.number);
                }
                self.resets.push(Known { reset: Arc::clone(reset), told: None });
            }
            Event::Unanswered { .. } => self.unanswered += 1,
            Event::Told { reset, told } => {
                self.told(*reset, told, entry.at);
                if let Told::Task(task) = told {
                    touched.push(*task);
                }
            }
            Event::Looked { task, asked, dialect, data } => {
                let Some(known) = self.tasks.get(task) else { return };
                let reset = Arc::clone(&self.resets[known.reset].reset);
                match Said::all(*dialect, data, &field.ids(&reset.devices)) {
                    Ok(said) => self.said(*task, said, *asked),
                    Err(why) => self.wrong.push(format!("task {task}: {why}")),
                }
                touched.push(*task);
            }
            Event::Puzzled { task: Some(task), what } => {
                self.wrong.push(format!("task {task} was accepted, and then: {what}"));
            }
            Event::Puzzled { task: None, what } => self.wrong.push(format!("an answer: {what}")),
            Event::Struck { .. } => self.disturbances.begin(entry.at),
            Event::Healed => {}
            Event::Whole => self.disturbances.end(entry.at),
        }
    }

    fn told(&mut self, reset: usize, told: &Told, at: Instant) {
        let known = &mut self.resets[reset];
        known.told = Some(told.clone());
        match told {
            Told::Task(id) => {
                let said = vec![Said::Open; known.reset.devices.len()];
                let task = Task { reset, accepted: at, said, late: false };
                if let Some(other) = self.tasks.insert(*id, task) {
                    let other = other.reset;
                    self.wrong.push(format!("task {id} was told for resets {other} and {reset}"));
                }
            }
            Told::Refused(refusal) => {
                if !refusal.is_explained() {
                    self.wrong.push(format!("reset {reset} was refused for no reason: {refusal}"));
                }
                let devices = &known.reset.devices;
                if devices.iter().any(|device| self.devices[*device].made.contains(&reset)) {
                    self.wrong.push(carried_out(reset, refusal));
                }
            }
            Told::Nothing => {}
        }
    }

    fn said(&mut self, id: u64, said: Vec<Said>, asked: Instant) {
        let task = self.tasks.get_mut(&id).expect("a known task");
        for (before, now) in task.said.iter_mut().zip(said) {
            if !before.may_become(&now) {
                self.wrong.push(format!("task {id} said {before:?}, and then {now:?}"));
            }
            // The other dialect knows less.
            if now != Said::Failed || matches!(before, Said::Open) {
                *before = now;
            }
        }
        let due = self.disturbances.due(task.accepted + self.deadline, GRACE);
        if !task.late && task.said.contains(&Said::Open) && due.is_some_and(|due| asked > due) {
            task.late = true;
            let late = asked.duration_since(task.accepted);
            self.wrong.push(format!("task {id} is still open {late:.1?} after it was accepted"));
        }
    }

    /// Finds out which reset made each new hash, and returns their tasks.
    fn look_at(&mut self, field: &Field, number: usize, seen: &Seen, until: Instant) -> Vec<u64> {
        let mut tasks = Vec::new();
        let device = &mut self.devices[number];
        device.missed = seen.missed;
        let instance = &field.instances[number];
        // The first one is from before any reset.
        device.looked_at = device.looked_at.max(1);
        for sighting in &seen.hashes[device.looked_at..] {
            let mut fits = |reset: &usize| {
                let password = &self.resets[*reset].reset.password;
                self.crypt.verifies(&sighting.hash, password)
            };
            // Each try costs a whole hash, and those that were accepted are the likely ones.
            let accepted = |reset: &usize| matches!(self.resets[*reset].told, Some(Told::Task(_)));
            let place = [true, false].into_iter().find_map(|likely| {
                device.wanted.iter().rposition(|it| accepted(it) == likely && fits(it))
            });
            if let Some(place) = place {
                device.looked_at += 1;
                let reset = device.wanted.remove(place);
                device.made.push(reset);
                match &self.resets[reset].told {
                    Some(Told::Refused(refusal)) => self.wrong.push(carried_out(reset, refusal)),
                    Some(Told::Task(task)) => tasks.push(*task),
                    Some(Told::Nothing) | None => {}
                }
                continue;
            }
            if sighting.at > until {
                break;
            }
            device.looked_at += 1;
            self.wrong.push(match device.made.iter().copied().rfind(fits) {
                Some(reset) => format!("{instance}: reset {reset} was carried out twice"),
                None => format!("{instance}: a password on disk that nobody asked for"),
            });
        }
        tasks
    }

    /// What a task says, beside what is on the disks.
    fn compare(&mut self, field: &Field, id: u64) {
        let task = &self.tasks[&id];
        let reset = &self.resets[task.reset].reset;
        for (number, said) in reset.devices.iter().zip(&task.said) {
            let device = &mut self.devices[*number];
            let made = device.made.contains(&reset.number);
            let instance = &field.instances[*number];
            match said {
                Said::Changed if !made && device.missed > device.counted => {
                    device.counted += 1;
                    self.unseen += 1;
                }
                Said::Changed if !made => self
                    .wrong
                    .push(format!("task {id} says that {instance} was changed, and it never was")),
                Said::NotChanged(reason) if made => self
                    .wrong
                    .push(format!("task {id} says {reason} of {instance}, and it was changed")),
                _ => {}
            }
        }
    }

    /// The numbers of the resets that are on a device's disk, the last one last.
    pub(crate) fn made(&self, device: usize) -> &[usize] {
        &self.devices[device].made
    }

    /// How many devices were told to be what, by the names of [`Said`].
    pub(crate) fn outcomes(&self) -> BTreeMap<String, u32> {
        let mut all = BTreeMap::new();
        for said in self.tasks.values().flat_map(|task| &task.said) {
            *all.entry(said.name().to_owned()).or_default() += 1;
        }
        all
    }

    /// How many resets were refused, by code.
    pub(crate) fn refusals(&self) -> BTreeMap<String, u32> {
        let mut all = BTreeMap::new();
        for known in &self.resets {
            if let Some(Told::Refused(refusal)) = &known.told {
                *all.entry(refusal.code.clone()).or_default() += 1;
            }
        }
        all
    }
}

fn carried_out(reset: usize, refusal: &Refusal) -> String {
    format!("reset {reset} was refused, and carried out: {refusal}")
}
