//! An API node: takes tasks, and ends jobs whose time is over.

use opencpm_domain::{
    Binding, DeviceStatus, Ending, JobState, OperateStatus, Sequence, Span, Timestamp,
    check_reset_allowed,
};

use crate::state::{BEGIN, DEADLINE_TICKS, HORIZON_TICKS, State, TICK};
use crate::store::{Acceptance, Change, JobRow};

/// What a node is at.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ApiNode {
    /// Nothing.
    Idle,
    /// It has read the device, checked it and sealed the password; the task is to be written.
    Accepting(Sealed),
    /// It has read a job whose time is over; its end is to be written.
    Sweeping(Change),
}

/// A task to be written, and what its sealing relies on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sealed {
    /// Which.
    pub task: usize,
    issued: Timestamp,
    /// Over which connection the device is reached.
    pub binding: Binding,
    highest: Sequence,
    anew: bool,
}

/// A client's request reaches a node: it answers what it knows, or begins.
pub fn ask(state: &mut State, node: usize, task: usize) {
    if state.store.jobs[task].is_some() {
        // The same signed request again is answered with its task.
        state.answered[task] = true;
    } else if let Some(binding) = reach(state) {
        let (issued, highest) = (state.now, state.store.highest);
        let sealed = Sealed { task, issued, binding, highest, anew: false };
        state.api[node] = ApiNode::Accepting(sealed);
    }
}

/// Whether a client would hear anything but a refusal, which changes nothing. The second asks after
/// the first: the tasks are alike.
pub fn would_answer(state: &State, task: usize) -> bool {
    let turn = task == 0 || state.store.jobs[0].is_some() || is_at(state, 0);
    let known = state.store.jobs[task].is_some();
    let in_time = state.ticks() + DEADLINE_TICKS <= HORIZON_TICKS;
    !state.answered[task] && turn && (known || (in_time && reach(state).is_some()))
}

/// Whether a node is at this client's request: asked now, it comes twice.
pub fn is_at(state: &State, task: usize) -> bool {
    state.api.iter().any(|node| matches!(node, ApiNode::Accepting(sealed) if sealed.task == task))
}

/// The store answers what the node asked it to write.
pub fn commit(state: &mut State, node: usize) {
    match std::mem::replace(&mut state.api[node], ApiNode::Idle) {
        ApiNode::Accepting(sealed) => match state.store.accept_sealed(&sealed) {
            Acceptance::Accepted | Acceptance::AcceptedBefore => {
                state.answered[sealed.task] = true;
            }
            Acceptance::Changed => seal_anew(state, node, sealed),
        },
        ApiNode::Sweeping(change) => {
            // Without a fence, so nobody refuses; an older version changes nothing.
            let _ = state.store.change_job(change, None, state.now);
        }
        unchanged => state.api[node] = unchanged,
    }
}

/// The node dies while the store is at work: the commit may have happened.
pub fn crash(state: &mut State, node: usize, committed: bool) {
    if let (true, ApiNode::Accepting(sealed)) = (committed, &state.api[node]) {
        let sealed = *sealed;
        state.store.accept_sealed(&sealed);
    }
    state.api[node] = ApiNode::Idle;
}

/// The node reads a job whose deadline has come.
pub fn sweep(state: &mut State, node: usize) {
    let Some((job, row)) = overdue(state) else { return };
    let version = row.version;
    if let Ok(ended) = row.state.clone().end_unreported(Ending::Deadline, BEGIN) {
        let change = Change { job, version, state: ended, report: None };
        state.api[node] = ApiNode::Sweeping(change);
    }
}

/// The open job whose deadline has come.
pub fn overdue(state: &State) -> Option<(usize, &JobRow)> {
    state.store.open_job().filter(|(_, row)| row.deadline <= state.now)
}

/// The device changed since it was read: looked at again, once.
fn seal_anew(state: &mut State, node: usize, sealed: Sealed) {
    if let (Some(binding), false) = (reach(state), sealed.anew) {
        let highest = state.store.highest;
        let sealed = Sealed { binding, highest, anew: true, ..sealed };
        state.api[node] = ApiNode::Accepting(sealed);
    }
}

/// Over which connection the device is reached, if it may be reset.
fn reach(state: &State) -> Option<Binding> {
    let busy = state.store.open_job().is_some();
    let operate = if busy { OperateStatus::ResettingPassword } else { OperateStatus::Running };
    check_reset_allowed(DeviceStatus::InOperation, operate).ok()?;
    let any_gateway_alive = state.store.any_gateway_alive(state.now);
    state.store.connection().reach(state.now, any_gateway_alive).ok()
}

impl crate::store::Store {
    fn accept_sealed(&mut self, sealed: &Sealed) -> Acceptance {
        let deadline = sealed.issued + Span::from_micros(DEADLINE_TICKS * TICK.as_micros());
        let row = JobRow {
            sequence: sealed.highest.next(sealed.issued),
            not_after: JobState::not_after(deadline),
            deadline,
            state: JobState::Ready,
            version: 1,
            report: None,
        };
        self.accept(sealed.task, row, (sealed.binding, sealed.highest))
    }
}
