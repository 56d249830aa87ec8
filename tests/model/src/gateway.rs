//! A gateway: binds the agent, delivers its jobs, records its reports. What it believes of its lease
//! does not count; the store judges.

use opencpm_domain::{Binding, GatewayId};

use crate::agent::{Hello, Link, Told};
use crate::state::{BEGIN, Rules, State, job_id};
use crate::store::{Change, LeaseEnded};

/// A gateway process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Gateway {
    slot: usize,
    /// Counts its terms: from taking a lease under a new id until that lease ends.
    term: u8,
    /// A hello that verified and is not bound yet.
    pub greeting: Option<Hello>,
    /// The connection that it holds for the device.
    pub seat: Option<u64>,
    /// The device has just come: its jobs are asked for.
    pub arrived: bool,
    /// Reports that came, or are on their way.
    pub inbox: Vec<Told>,
    /// What it has read of the store and is about to write.
    pub desk: Desk,
}

/// What a gateway is about to write.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Desk {
    /// Nothing.
    Empty,
    /// An attempt, for a frame over this connection.
    Attempt(Change, u64),
    /// A report.
    Record(Change),
}

impl Gateway {
    /// A process that has just started.
    pub fn first(slot: usize) -> Self {
        Self {
            slot,
            term: 1,
            greeting: None,
            seat: None,
            arrived: false,
            inbox: Vec::new(),
            desk: Desk::Empty,
        }
    }

    /// Another name for the same process.
    pub fn rename(&mut self, slot: usize, term: u8) {
        (self.slot, self.term) = (slot, term);
    }

    /// Its id in this term.
    pub fn id(&self) -> GatewayId {
        let mut bytes = [0; 16];
        bytes[0] = self.slot as u8 + 1;
        bytes[1] = self.term;
        GatewayId::from_bytes(bytes)
    }

    /// It has a report of this job, or is about to write something about it.
    fn is_at(&self, job: usize) -> bool {
        let writes = match &self.desk {
            Desk::Empty => false,
            Desk::Attempt(change, _) | Desk::Record(change) => change.job == job,
        };
        writes || self.inbox.iter().any(|told| told.job == job)
    }

    /// A report is on its way to it. The order does not matter, so two orders are one state.
    pub fn post(&mut self, told: Told) {
        self.inbox.push(told);
        self.inbox.sort_unstable_by_key(|told| told.job);
    }
}

/// The hello is bound: the agent is welcome, if it is still there. A refused one is of a connection
/// that ended.
pub fn bind(rules: &Rules, state: &mut State, slot: usize) {
    let gateway = &mut state.gateways[slot];
    let id = gateway.id();
    let Some(hello) = gateway.greeting.take() else { return };
    match state.store.bind(rules, id, hello, state.now) {
        Err(LeaseEnded) => new_term(state, slot),
        Ok(None) => {}
        Ok(Some(epoch)) => {
            (gateway.seat, gateway.arrived) = (Some(epoch), true);
            if state.agent.link == Link::Greeting(slot) {
                crate::agent::welcome(state, slot, epoch);
            }
        }
    }
}

/// The gateway notices that the connection ended: unbinds it.
pub fn leave(state: &mut State, slot: usize) {
    let gateway = &mut state.gateways[slot];
    gateway.arrived = false;
    if let Some(epoch) = gateway.seat.take() {
        state.store.unbind(Binding { gateway: gateway.id(), epoch });
    }
}

/// The open job of the device, if it is bound here and may leave now.
fn deliverable(state: &State, slot: usize) -> Option<(Change, u64)> {
    let Binding { gateway, epoch } = state.store.bound?;
    let (job, row) = state.store.open_job()?;
    if gateway != state.gateways[slot].id()
        || row.state.is_too_late_to_send(row.not_after, state.now)
    {
        return None;
    }
    let version = row.version;
    let next = row.state.clone().attempt().ok()?;
    Some((Change { job, version, state: next, report: None }, epoch))
}

/// Whether it could deliver something.
pub fn may_look(state: &State, slot: usize) -> bool {
    deliverable(state, slot).is_some()
}

/// Why a gateway would look for jobs now: the queue names one that was never sent, the device has
/// come, or a sweep finds one that was sent long ago, so that frame or report must be lost. What
/// finds it sooner counts as a repetition.
pub fn has_reason_to_look(state: &State, slot: usize) -> bool {
    let lost = |job: usize| {
        let at_work = |gateway: &Gateway| gateway.is_at(job);
        !state.wire.contains(&job)
            && state.agent.doing.is_none_or(|(doing, _)| doing != job)
            && !state.gateways.iter().any(at_work)
    };
    deliverable(state, slot).is_some_and(|(change, epoch)| {
        let row = state.store.jobs[change.job].as_ref();
        let never = row.is_some_and(|row| row.state.attempts() == 0);
        let listens = state.agent.link == Link::Live(slot, epoch);
        never || state.gateways[slot].arrived || (listens && lost(change.job))
    })
}

/// The gateway reads what it may deliver.
pub fn look(state: &mut State, slot: usize) {
    if let Some((change, epoch)) = deliverable(state, slot) {
        let gateway = &mut state.gateways[slot];
        gateway.desk = Desk::Attempt(change, epoch);
        gateway.arrived = false;
    }
}

/// The gateway reads the job of a report, and decides what becomes of it.
pub fn read(rules: &Rules, state: &mut State, slot: usize, report: usize) {
    let told = state.gateways[slot].inbox.remove(report);
    let job = told.job;
    let Some(row) = &state.store.jobs[job] else { return };
    let later = state.store.jobs.iter().flatten().filter(|other| other.sequence > row.sequence);
    let superseded =
        row.state.may_be_corrected() && later.into_iter().any(|l| l.state.may_be_applied());
    let version = row.version;
    match row.state.clone().report(told.verdict.clone(), superseded, BEGIN) {
        // Nothing to record: the store knows as much.
        Err(_) => acknowledge(state, slot, job),
        Ok(next) => {
            let report = Some(told);
            let change = Change { job, version, state: next, report };
            state.gateways[slot].desk = Desk::Record(change);
            if !rules.commits_first {
                acknowledge(state, slot, job);
            }
        }
    }
}

/// The store answers what the gateway asked it to write.
pub fn commit(rules: &Rules, state: &mut State, slot: usize) {
    let id = state.gateways[slot].id();
    match std::mem::replace(&mut state.gateways[slot].desk, Desk::Empty) {
        Desk::Empty => {}
        Desk::Attempt(change, epoch) => {
            let job = change.job;
            match state.store.change_job(change, rules.fenced.then_some(id), state.now) {
                Err(LeaseEnded) => new_term(state, slot),
                Ok(true) => send(state, slot, epoch, job),
                Ok(false) => {}
            }
        }
        Desk::Record(change) => {
            let (job, told) = (change.job, change.report.clone());
            match state.store.change_job(change, Some(id), state.now) {
                Err(LeaseEnded) => new_term(state, slot),
                Ok(true) => acknowledge(state, slot, job),
                // Somebody else changed the job: read again.
                Ok(false) => told.into_iter().for_each(|told| state.gateways[slot].post(told)),
            }
        }
    }
}

/// The process dies while the store is at work: the commit may have happened.
pub fn crash(rules: &Rules, state: &mut State, slot: usize, committed: bool) {
    let id = state.gateways[slot].id();
    if committed {
        let written = match std::mem::replace(&mut state.gateways[slot].desk, Desk::Empty) {
            Desk::Empty => None,
            Desk::Attempt(change, _) => Some((change, rules.fenced.then_some(id))),
            Desk::Record(change) => Some((change, Some(id))),
        };
        if let Some((change, fence)) = written {
            let _ = state.store.change_job(change, fence, state.now);
        }
    }
    new_term(state, slot);
}

/// The process starts again, or goes on after its lease ended: under a new id. All that it held is
/// gone, and the agent's connection with it. The former lease stays until it ends.
pub fn new_term(state: &mut State, slot: usize) {
    let term = state.gateways[slot].term + 1;
    state.gateways[slot] = Gateway { term, ..Gateway::first(slot) };
    if matches!(state.agent.link, Link::Greeting(at) | Link::Live(at, _) if at == slot) {
        crate::agent::disconnect(state);
    }
    state.store.renew(state.gateways[slot].id(), state.now);
}

/// A frame leaves, if the connection that was read is still the one held. Whether somebody listens
/// at its other end is another question.
fn send(state: &mut State, slot: usize, epoch: u64, job: usize) {
    if state.gateways[slot].seat == Some(epoch) {
        state.sent[job] = true;
        if state.agent.link == Link::Live(slot, epoch) {
            state.post(job);
        }
    }
}

/// The agent hears of it, if it is still connected here. An acknowledgement that is lost is one of
/// a connection that broke, or of a gateway that crashed, just before.
fn acknowledge(state: &mut State, slot: usize, job: usize) {
    if matches!(state.agent.link, Link::Live(at, _) if at == slot) {
        state.agent.jobs.acknowledge(&[job_id(job)]);
    }
}
