//! What all clients share: where they ask, which devices are free, which tasks are open.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use opencpm_tests::Dice;
use opencpm_tests::cluster::Observer;

use crate::door::Door;
use crate::history::History;

/// Shared by clients, watchers and rounds.
pub(crate) struct Field {
    /// One for each API node.
    pub(crate) doors: Vec<Door>,
    /// The devices' ids.
    pub(crate) instances: Vec<String>,
    pub(crate) history: History,
    pub(crate) observer: Arc<Observer>,
    state: Mutex<State>,
    closed: AtomicBool,
    deserted: AtomicBool,
}

struct State {
    busy: Vec<bool>,
    open: VecDeque<OpenTask>,
    ended: HashMap<u64, Ended>,
}

/// A task that somebody waits for.
#[derive(Clone, Debug)]
pub(crate) struct OpenTask {
    pub(crate) id: u64,
    /// These are free when it has ended.
    pub(crate) devices: Vec<usize>,
}

/// A task that has ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    /// On every device.
    pub(crate) succeeded: bool,
}

impl Field {
    pub(crate) fn new(
        doors: Vec<Door>,
        instances: Vec<String>,
        history: History,
        observer: Arc<Observer>,
    ) -> Self {
        let busy = vec![false; instances.len()];
        let state = State { busy, open: VecDeque::new(), ended: HashMap::new() };
        let [closed, deserted] = [(); 2].map(|()| AtomicBool::new(false));
        let state = Mutex::new(state);
        Self { doors, instances, history, observer, state, closed, deserted }
    }

    /// So many devices on which nobody works; fewer where there are not so many.
    pub(crate) fn take(&self, number: usize, dice: &mut Dice) -> Vec<usize> {
        let mut state = self.state();
        let mut free: Vec<_> = (0..state.busy.len()).filter(|one| !state.busy[*one]).collect();
        let number = number.min(free.len());
        let taken = (0..number).map(|_| free.swap_remove(dice.below(free.len()))).collect();
        for device in &taken {
            let device: &usize = device;
            state.busy[*device] = true;
        }
        taken
    }

    /// They may be taken again. Their shadow files were looked at before: what the next reset
    /// puts there must not hide what was there.
    pub(crate) fn give_back(&self, devices: &[usize]) {
        self.observer.catch_up();
        let mut state = self.state();
        devices.iter().for_each(|device| state.busy[*device] = false);
    }

    /// Somebody is to watch this task.
    pub(crate) fn opened(&self, task: OpenTask) {
        self.state().open.push_back(task);
    }

    /// The task that was not looked at for the longest time.
    pub(crate) fn next_open(&self) -> Option<OpenTask> {
        self.state().open.pop_front()
    }

    /// What became of a task.
    pub(crate) fn ended(&self, task: u64, ended: Ended) {
        self.state().ended.insert(task, ended);
    }

    pub(crate) fn end_of(&self, task: u64) -> Option<Ended> {
        self.state().ended.get(&task).copied()
    }

    /// Clients begin nothing more.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// The clients have gone: no task will be opened any more.
    pub(crate) fn desert(&self) {
        self.deserted.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_deserted(&self) -> bool {
        self.deserted.load(Ordering::Relaxed)
    }

    /// The ids of devices.
    pub(crate) fn ids(&self, devices: &[usize]) -> Vec<&str> {
        devices.iter().map(|device| self.instances[*device].as_str()).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets time pass: the pace of clients, and how long a fault lasts.
pub(crate) fn pass(time: Duration) {
    let until = Instant::now() + time;
    loop {
        match until.saturating_duration_since(Instant::now()) {
            Duration::ZERO => return,
            left => std::thread::park_timeout(left),
        }
    }
}
