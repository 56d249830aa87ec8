//! What must hold, by the numbers of the design's "What must always hold".

use opencpm_agent::state::Phase;
use opencpm_domain::{Certainty, JobState, Reason};

use crate::agent::{Link, RootEntry};
use crate::state::{State, TASKS, job_id};
use crate::store::JobRow;

/// The promise that a step breaks.
pub fn broken_by(before: &State, after: &State) -> Option<&'static str> {
    (0..TASKS)
        .find_map(|job| job_broken(before, after, job))
        .or_else(|| machine_broken(after))
        .or_else(|| fence_broken(before, after))
}

/// The promise that is broken where nothing more will happen by itself.
pub fn broken_at_end(end: &State) -> Option<&'static str> {
    if end.store.open_job().is_some() {
        return Some("a task never hangs: every job ends by its deadline");
    }
    if !end.agent.jobs.unacknowledged().is_empty() || !end.agent.jobs.unfinished().is_empty() {
        return Some("what the machine knows reaches the store");
    }
    let lost = |&job: &usize| {
        let succeeded = |row: &JobRow| matches!(row.state, JobState::Succeeded { .. });
        end.agent.applied.contains(&job) && !end.store.jobs[job].as_ref().is_some_and(succeeded)
    };
    if (0..TASKS).any(|job| lost(&job)) && end.agent.entry != RootEntry::Other {
        return Some("a task that was done is told to be done, late or not");
    }
    let Link::Live(slot, epoch) = end.agent.link else {
        return Some("an agent that runs is connected");
    };
    let here = (end.gateways[slot].id(), epoch);
    if end.store.bound.map(|bound| (bound.gateway, bound.epoch)) != Some(here) {
        return Some("a device is bound where its agent is connected");
    }
    None
}

fn job_broken(before: &State, after: &State, job: usize) -> Option<&'static str> {
    let Some(row) = &after.store.jobs[job] else {
        let lost = after.answered[job] || before.store.jobs[job].is_some();
        return lost.then_some("4: what was accepted is durable");
    };
    let applied = after.agent.applied.contains(&job);
    if let Some(former) = &before.store.jobs[job]
        && !may_become(&former.state, &row.state)
    {
        return Some("3: a job has one end; only a guess is corrected, and once");
    }
    match &row.state {
        JobState::Succeeded { .. } if !applied => {
            return Some("2: success means that the machine did it");
        }
        JobState::Failed { reason, .. } if applied && is_the_machines(*reason) => {
            return Some("3: a job that is said not to be done was never done");
        }
        JobState::Failed { reason: Reason::NotDelivered, .. } if after.sent[job] => {
            return Some("3: a job that is said not to be delivered never left");
        }
        _ => {}
    }
    if after.sent[job] && row.state.attempts() == 0 {
        return Some("3: an attempt is committed before its frame is sent");
    }
    if row.report.as_ref().is_some_and(|told| !after.agent.signed.contains(told)) {
        return Some("2: what is recorded is what the machine signed");
    }
    match after.agent.jobs.find(job_id(job)).map(|record| &record.phase) {
        Some(Phase::Kept(told) | Phase::RefusedKept(told)) => {
            let news = row.state.clone().report(told.verdict.clone(), false, after.now);
            news.is_ok().then_some("4: a report is committed before it is acknowledged")
        }
        _ => None,
    }
}

/// A definite reason that only the machine can give.
fn is_the_machines(reason: Reason) -> bool {
    reason.certainty() == Certainty::NotChanged && !reason.is_servers_own()
}

/// The design's transitions, said once more: from open to anything, from a guess to a corrected end.
fn may_become(before: &JobState, after: &JobState) -> bool {
    let corrected = matches!(
        after,
        JobState::Succeeded { corrected: true, .. } | JobState::Failed { corrected: true, .. }
    );
    before == after || before.is_open() || (before.may_be_corrected() && corrected)
}

fn machine_broken(after: &State) -> Option<&'static str> {
    let agent = &after.agent;
    let sequence = |job: &usize| after.store.jobs[*job].as_ref().map(|row| row.sequence);
    let in_order = agent.applied.windows(2).all(|two| sequence(&two[0]) < sequence(&two[1]));
    if !in_order {
        return Some("4: no job is applied twice, and none after a later one");
    }
    let last = agent.applied.last().map_or(RootEntry::First, |&job| RootEntry::Job(job));
    if agent.entry != last && agent.entry != RootEntry::Other {
        return Some("4: the applied job of the highest sequence is on disk");
    }
    None
}

/// The store's clock decides who may bind and deliver.
fn fence_broken(before: &State, after: &State) -> Option<&'static str> {
    let leased = |gateway| before.store.is_leased(gateway, before.now);
    if let Some(bound) = after.store.bound
        && after.store.epoch != before.store.epoch
        && !leased(bound.gateway)
    {
        return Some("bindings are fenced: no gateway binds after its lease ended");
    }
    let attempts = |state: &State, job: usize| {
        state.store.jobs[job].as_ref().map_or(0, |row| row.state.attempts())
    };
    if (0..TASKS).any(|job| attempts(before, job) < attempts(after, job)) {
        let working = |slot: &usize| before.gateways[*slot].desk != after.gateways[*slot].desk;
        let slot = [0, 1].into_iter().find(working).unwrap_or_default();
        if !leased(before.gateways[slot].id()) {
            return Some("deliveries are fenced: no gateway delivers after its lease ended");
        }
    }
    None
}
