//! The agent: the real record of its jobs, the real checks, the real look at the disk after a crash.
//! Only the machine below is made up: root's entry is a number.

use std::fmt;

use opencpm_agent::apply::{AfterCrash, EntryDigest, Intent};
use opencpm_agent::state::{Jobs, Phase};
use opencpm_domain::{Reason, Sequence, Verdict};
use opencpm_protocol::job::{check_sequence, check_time};

use crate::state::{BEGIN, Rules, State, TASKS, job_id};

/// A report. Nobody but the machine can sign one, so only this file makes any.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Told {
    /// About which job.
    pub job: usize,
    /// What became of it.
    pub verdict: Verdict,
}

/// What a machine says of itself when it connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Hello {
    /// When it said so, by the time since its boot: in the model, how many it made by then.
    pub made: u64,
    /// The highest sequence that it was given.
    pub highest: Sequence,
}

/// The process and its machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Agent {
    /// Its connection.
    pub link: Link,
    /// How many hellos it made since the machine's boot, which is not in the model.
    pub hellos: u64,
    /// Its file: what it must not forget.
    pub jobs: Jobs<Told>,
    /// The job that it is at, and whether the rename is done.
    pub doing: Option<(usize, bool)>,
    /// Root's entry on disk.
    pub entry: RootEntry,
    /// The new shadow file waits beside the old one.
    pub waits: bool,
    /// The jobs that were applied, in order. Nobody in the model knows; the promises do.
    pub applied: Vec<usize>,
    /// The reports that it ever made. As little known.
    pub signed: Vec<Told>,
}

/// The agent's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Link {
    /// It has none.
    #[default]
    None,
    /// It said hello to this gateway and waits for its welcome.
    Greeting(usize),
    /// It is welcome at this gateway, over its connection of this epoch.
    Live(usize, u64),
}

/// Root's entry, by who made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum RootEntry {
    /// Nobody of ours.
    #[default]
    First,
    /// This job.
    Job(usize),
    /// Another hand on the machine, later.
    Other,
}

impl RootEntry {
    fn digest(self) -> EntryDigest {
        EntryDigest(match self {
            Self::First => [0; 32],
            Self::Job(job) => [job as u8 + 1; 32],
            Self::Other => [255; 32],
        })
    }
}

/// The agent says hello to a gateway.
pub fn connect(state: &mut State, slot: usize) {
    state.agent.link = Link::Greeting(slot);
    state.agent.hellos += 1;
    let hello = Hello { made: state.agent.hellos, highest: state.agent.jobs.highest };
    state.gateways[slot].greeting = Some(hello);
}

/// Its connection is gone, and what was on its way to it.
pub fn disconnect(state: &mut State) {
    state.agent.link = Link::None;
    state.wire.clear();
}

/// It is live: decides what a crash left, and says what nobody has acknowledged.
pub fn welcome(state: &mut State, slot: usize, epoch: u64) {
    state.agent.link = Link::Live(slot, epoch);
    state.agent.recover();
    for told in state.agent.jobs.unacknowledged() {
        state.gateways[slot].post(told);
    }
}

/// A job came: it answers from the record, refuses, or begins; then the intent is durable.
pub fn hear(state: &mut State, message: usize) {
    let job = state.wire.remove(message);
    let (now, agent) = (state.now, &mut state.agent);
    if agent.jobs.find(job_id(job)).is_some() {
        agent.recover();
        let told = agent.jobs.find(job_id(job)).and_then(|record| record.phase.report().cloned());
        return told.into_iter().for_each(|told| tell(state, told));
    }
    let Some(row) = &state.store.jobs[job] else { return };
    // What the frame says of itself; it never changes.
    let (sequence, not_after) = (row.sequence, row.not_after);
    if let Err(reason) = check_sequence(sequence, agent.jobs.highest, agent.jobs.forgotten()) {
        return settle(state, job, Verdict::NotApplied(reason), Phase::Refused);
    }
    agent.jobs.raise(sequence);
    if let Err(reason) = check_time(now, not_after, false) {
        return settle(state, job, Verdict::NotApplied(reason), Phase::Reported);
    }
    let intent = Intent { old: agent.entry.digest(), new: RootEntry::Job(job).digest() };
    agent.jobs.record(job_id(job), sequence, Phase::Intended((&intent).into()));
    agent.waits = true;
    agent.doing = Some((job, false));
}

/// The time is looked at once more, and the new file takes the old one's place.
pub fn rename(state: &mut State, job: usize) {
    let not_after = state.store.jobs[job].as_ref().map(|row| row.not_after);
    state.agent.waits = false;
    match check_time(state.now, not_after.unwrap_or_default(), false) {
        Ok(()) => {
            state.agent.entry = RootEntry::Job(job);
            state.agent.applied.push(job);
            state.agent.doing = Some((job, true));
        }
        Err(reason) => {
            state.agent.doing = None;
            settle(state, job, Verdict::NotApplied(reason), Phase::Reported);
        }
    }
}

/// The entry is read from the disk again, and the report made durable and sent.
pub fn verify(state: &mut State, job: usize) {
    state.agent.doing = None;
    let verdict = if state.agent.entry == RootEntry::Job(job) {
        Verdict::Applied { at: BEGIN, advice: Vec::new() }
    } else {
        Verdict::NotApplied(Reason::VerifyFailed)
    };
    settle(state, job, verdict, Phase::Reported);
}

/// The process dies and starts again. What is on disk stays.
pub fn crash(rules: &Rules, state: &mut State) {
    disconnect(state);
    state.agent.doing = None;
    if !rules.remembers {
        state.agent.jobs = Jobs::default();
    }
}

fn settle(state: &mut State, job: usize, verdict: Verdict, phase: fn(Told) -> Phase<Told>) {
    let told = Told { job, verdict };
    state.agent.keep(told.clone(), state.store.jobs[job].as_ref().map(|row| row.sequence), phase);
    tell(state, told);
}

fn tell(state: &mut State, told: Told) {
    if let Link::Live(slot, _) = state.agent.link {
        state.gateways[slot].post(told);
    }
}

impl Agent {
    /// What a crash left undecided is decided by what is on disk.
    fn recover(&mut self) {
        for (id, sequence, intent) in self.jobs.unfinished() {
            let Some(job) = (0..TASKS).find(|&job| job_id(job) == id) else { continue };
            let found = AfterCrash::judge(&intent, Some(self.entry.digest()), self.waits);
            let verdict = match found.reason() {
                None => Verdict::Applied { at: BEGIN, advice: Vec::new() },
                Some(reason) => Verdict::NotApplied(reason),
            };
            self.keep(Told { job, verdict }, Some(sequence), Phase::Reported);
        }
        self.waits = false;
    }

    fn keep(&mut self, told: Told, sequence: Option<Sequence>, phase: fn(Told) -> Phase<Told>) {
        if !self.signed.contains(&told) {
            self.signed.push(told.clone());
        }
        self.jobs.record(job_id(told.job), sequence.unwrap_or_default(), phase(told));
    }
}

impl fmt::Display for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.entry {
            RootEntry::First => write!(f, "on disk: the first password"),
            RootEntry::Job(job) => write!(f, "on disk: the password of job {}", job + 1),
            RootEntry::Other => write!(f, "on disk: another hand's"),
        }
    }
}
