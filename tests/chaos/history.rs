//! What clients asked and were told, and what was done to the cluster, in the order in which it
//! happened. Nothing is ever changed in it. Its file keeps everything; memory keeps what was not
//! compared yet.

use std::collections::HashSet;
use std::fmt;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde_json::Value;

use crate::door::{Dialect, Refusal};

/// A reset that a client wanted.
#[derive(Debug)]
pub(crate) struct Reset {
    /// Its place among the resets.
    pub(crate) number: usize,
    /// The index of the node that was asked first.
    pub(crate) door: usize,
    pub(crate) dialect: Dialect,
    /// Indexes of machines, in the order of the request.
    pub(crate) devices: Vec<usize>,
    /// Of this reset alone.
    pub(crate) password: String,
}

/// What a client was told of its reset.
#[derive(Clone, Debug)]
pub(crate) enum Told {
    /// It is this task.
    Task(u64),
    Refused(Refusal),
    /// Nothing; and it did not find out later.
    Nothing,
}

/// Something that happened.
#[derive(Debug)]
pub(crate) enum Event {
    /// A client begins to ask.
    Asked(Arc<Reset>),
    /// It got an answer that is no answer, or none: it will ask again.
    Unanswered { reset: usize, why: String },
    /// It got its answer.
    Told { reset: usize, told: Told },
    /// A client was told of a task: the node's `data`.
    Looked { task: u64, asked: Instant, dialect: Dialect, data: Value },
    /// It was told that there is no such task, or something else that needs an explanation.
    Puzzled { task: Option<u64>, what: String },
    /// A fault begins. A moved clock also moves the deadlines of what the node accepts.
    Struck { what: String },
    /// The fault was taken away.
    Healed,
    /// Every agent is connected, and resets succeed.
    Whole,
}

/// An event and when it was written down.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) at: Instant,
    pub(crate) event: Event,
}

/// The whole run's history; also in a file, for people.
pub(crate) struct History {
    begin: Instant,
    state: Mutex<State>,
}

struct State {
    news: Vec<Entry>,
    resets: usize,
    /// Tasks that clients were told of.
    told: HashSet<u64>,
    file: File,
}

impl History {
    pub(crate) fn begin(file: &Path) -> Self {
        let file = File::create(file).expect("a file in our own folder");
        let state = State { news: Vec::new(), resets: 0, told: HashSet::new(), file };
        Self { begin: Instant::now(), state: Mutex::new(state) }
    }

    /// Writes down that a client begins to ask.
    pub(crate) fn asks(
        &self,
        (door, dialect): (usize, Dialect),
        devices: Vec<usize>,
        password: impl FnOnce(usize) -> String,
    ) -> Arc<Reset> {
        let mut state = self.state();
        let number = state.resets;
        state.resets += 1;
        let reset = Reset { number, door, dialect, devices, password: password(number) };
        let reset = Arc::new(reset);
        self.add_to(&mut state, Event::Asked(Arc::clone(&reset)));
        reset
    }

    /// Writes down what happened.
    pub(crate) fn add(&self, event: Event) {
        self.add_to(&mut self.state(), event);
    }

    /// What came since the last call.
    pub(crate) fn news(&self) -> Vec<Entry> {
        std::mem::take(&mut self.state().news)
    }

    /// Whether a client was told that its reset is this task.
    pub(crate) fn is_told(&self, task: u64) -> bool {
        self.state().told.contains(&task)
    }

    fn add_to(&self, state: &mut State, event: Event) {
        let at = Instant::now();
        let seconds = at.duration_since(self.begin).as_secs_f64();
        writeln!(state.file, "{seconds:10.3} {event}").expect("our own file");
        if let Event::Told { told: Told::Task(id), .. } = &event {
            state.told.insert(*id);
        }
        state.news.push(Entry { at, event });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked(reset) => {
                let Reset { number, door, dialect, devices, password } = &**reset;
                write!(f, "reset {number}: {password} {devices:?} at door {door}, {dialect:?}")
            }
            Self::Unanswered { reset, why } => write!(f, "reset {reset}: no answer, {why}"),
            Self::Told { reset, told } => write!(f, "reset {reset}: {told:?}"),
            Self::Looked { task, dialect, data, .. } => {
                write!(f, "task {task}, {dialect:?}: {data}")
            }
            Self::Puzzled { task, what } => write!(f, "task {task:?}: {what}"),
            Self::Struck { what } => write!(f, "struck: {what}"),
            Self::Healed => write!(f, "healed"),
            Self::Whole => write!(f, "whole"),
        }
    }
}
