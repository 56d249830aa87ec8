//! What can happen next, and what it makes of the state.

use std::fmt;

use opencpm_domain::Lease;

use crate::agent::{self, Link, RootEntry};
use crate::api::{self, ApiNode};
use crate::gateway::Gateway;
use crate::gateway::{self, Desk};
use crate::state::{HORIZON_TICKS, Rules, State, TASKS, TICK};

/// One thing that happens. Numbers count from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A client's request for a task reaches an API node.
    Ask(usize, usize),
    /// An API node has its transaction committed.
    ApiCommits(usize),
    /// An API node finds a job whose time is over.
    ApiSweeps(usize),
    /// A gateway has the agent's hello bound.
    GatewayBinds(usize),
    /// A gateway notices that a connection ended before its hello was bound.
    GatewayForgetsHello(usize),
    /// A gateway notices that a connection ended: unbinds it.
    GatewayUnbinds(usize),
    /// A gateway looks for jobs to deliver.
    GatewayLooks(usize),
    /// A gateway reads the job of a report that came.
    GatewayReads(usize, usize),
    /// A gateway has its transaction committed; then a frame leaves.
    GatewayCommits(usize),
    /// A gateway notices that its lease ended: goes on under a new id.
    GatewayBegins(usize),
    /// The agent says hello to a gateway.
    AgentConnects(usize),
    /// The agent hears something that was on its way.
    AgentHears(usize),
    /// The agent puts the new shadow file in the old one's place.
    AgentRenames(usize),
    /// The agent verifies, and reports.
    AgentReports(usize),
    /// Time passes, and gateways renew their leases.
    TimePasses,
    /// Time passes although somebody has something to do: he is slow.
    TimeDrags,
    /// Time passes, and one gateway stands still meanwhile.
    TimePassesWithout(usize),
    /// The agent's connection breaks; what it has sent still arrives or does not.
    ConnectionBreaks(bool),
    /// Something comes to the agent twice.
    Repeats(usize),
    /// A report comes to a gateway twice.
    RepeatsReport(usize, usize),
    /// The queue names a job once more.
    RepeatsJob(usize),
    /// An API node crashes and starts again; what it asked of the store happened or did not.
    ApiCrashes(usize, bool),
    /// A gateway crashes and starts again; what it asked of the store happened or did not.
    GatewayCrashes(usize, bool),
    /// The agent's process crashes and starts again.
    AgentCrashes,
    /// Another hand changes root's entry.
    AnotherHand,
}

impl Step {
    /// Nothing that a run can count on.
    pub fn is_fault(&self) -> bool {
        matches!(
            self,
            Self::TimeDrags
                | Self::TimePassesWithout(_)
                | Self::ConnectionBreaks(_)
                | Self::Repeats(_)
                | Self::RepeatsReport(..)
                | Self::RepeatsJob(_)
                | Self::ApiCrashes(..)
                | Self::GatewayCrashes(..)
                | Self::AgentCrashes
                | Self::AnotherHand
        )
    }
}

/// All that may happen next.
pub fn steps(state: &State) -> Vec<Step> {
    let mut steps = Vec::with_capacity(24);
    for node in [0, 1] {
        api_steps(state, node, &mut steps);
    }
    for slot in [0, 1] {
        gateway_steps(state, slot, &mut steps);
    }
    agent_steps(state, &mut steps);
    if a_job_waits_for_time(state) {
        if steps.iter().all(Step::is_fault) {
            steps.push(Step::TimePasses);
        } else if state.left.delays > 0 {
            steps.push(Step::TimeDrags);
        }
    }
    if state.left.allow(state.left.stalls) && may_pass_time(state) {
        let leased = |&slot: &usize| is_leased(state, slot);
        steps.extend([0, 1].into_iter().filter(leased).map(Step::TimePassesWithout));
    }
    steps
}

fn api_steps(state: &State, node: usize, steps: &mut Vec<Step>) {
    match &state.api[node] {
        ApiNode::Accepting(_) | ApiNode::Sweeping(_) => steps.push(Step::ApiCommits(node)),
        ApiNode::Idle => {
            // The nodes are alike: where both have nothing to do, either is both.
            if node == 1 && state.api[0] == ApiNode::Idle {
                return;
            }
            let free =
                |&task: &usize| !api::is_at(state, task) || state.left.allow(state.left.duplicates);
            let answered = |&task: &usize| api::would_answer(state, task);
            let asked = (0..TASKS).filter(answered).filter(free);
            steps.extend(asked.map(|task| Step::Ask(node, task)));
            if api::overdue(state).is_some() {
                steps.push(Step::ApiSweeps(node));
            }
        }
    }
    if state.left.allow(state.left.crashes) && state.api[node] != ApiNode::Idle {
        steps.push(Step::ApiCrashes(node, false));
        if matches!(state.api[node], ApiNode::Accepting(_)) {
            steps.push(Step::ApiCrashes(node, true));
        }
    }
}

fn gateway_steps(state: &State, slot: usize, steps: &mut Vec<Step>) {
    let gateway = &state.gateways[slot];
    if !is_leased(state, slot) {
        steps.push(Step::GatewayBegins(slot));
    }
    if gateway.greeting.is_some() {
        steps.push(Step::GatewayBinds(slot));
        if state.agent.link != Link::Greeting(slot) {
            steps.push(Step::GatewayForgetsHello(slot));
        }
    }
    if gateway.seat.is_some_and(|epoch| state.agent.link != Link::Live(slot, epoch)) {
        steps.push(Step::GatewayUnbinds(slot));
    }
    if gateway.desk == Desk::Empty {
        if gateway::has_reason_to_look(state, slot) {
            steps.push(Step::GatewayLooks(slot));
        } else if state.left.allow(state.left.duplicates) && gateway::may_look(state, slot) {
            steps.push(Step::RepeatsJob(slot));
        }
        steps.extend((0..gateway.inbox.len()).map(|report| Step::GatewayReads(slot, report)));
    } else {
        steps.push(Step::GatewayCommits(slot));
    }
    if state.left.allow(state.left.duplicates) {
        steps.extend((0..gateway.inbox.len()).map(|report| Step::RepeatsReport(slot, report)));
    }
    if state.left.allow(state.left.crashes) {
        steps.push(Step::GatewayCrashes(slot, false));
        if gateway.desk != Desk::Empty {
            steps.push(Step::GatewayCrashes(slot, true));
        }
    }
}

fn agent_steps(state: &State, steps: &mut Vec<Step>) {
    let agent = &state.agent;
    if state.left.allow(state.left.hands) && agent.entry != RootEntry::First {
        steps.push(Step::AnotherHand);
    }
    match (agent.doing, agent.link) {
        (Some((job, false)), _) => steps.push(Step::AgentRenames(job)),
        (Some((job, true)), _) => steps.push(Step::AgentReports(job)),
        (None, Link::None) => steps.extend([0, 1].map(Step::AgentConnects)),
        (None, _) => steps.extend((0..state.wire.len()).map(Step::AgentHears)),
    }
    if state.left.allow(state.left.duplicates) {
        steps.extend((0..state.wire.len()).map(Step::Repeats));
    }
    if let (Link::Greeting(slot) | Link::Live(slot, _), true) =
        (agent.link, state.left.allow(state.left.losses))
    {
        steps.push(Step::ConnectionBreaks(true));
        if !state.gateways[slot].inbox.is_empty() {
            steps.push(Step::ConnectionBreaks(false));
        }
    }
    if state.left.allow(state.left.crashes) {
        steps.push(Step::AgentCrashes);
    }
}

/// A job may still be applied, or must end. Where nothing is open, time that passes changes nothing.
fn a_job_waits_for_time(state: &State) -> bool {
    may_pass_time(state) && state.store.open_job().is_some()
}

/// What is overdue is ended before time goes on: that takes seconds, a tick takes ten.
fn may_pass_time(state: &State) -> bool {
    state.ticks() < HORIZON_TICKS && api::overdue(state).is_none()
}

fn is_leased(state: &State, slot: usize) -> bool {
    let gateway = &state.gateways[slot];
    state.store.is_leased(gateway.id(), state.now)
}

/// What a step makes of a state.
pub fn take(rules: &Rules, before: &State, step: Step) -> State {
    let mut state = before.clone();
    let next = &mut state;
    match step {
        Step::Ask(node, task) => {
            if api::is_at(next, task) {
                next.left.duplicates -= 1;
                next.left.faults -= 1;
            }
            api::ask(next, node, task);
        }
        Step::ApiCommits(node) => api::commit(next, node),
        Step::ApiSweeps(node) => api::sweep(next, node),
        Step::GatewayBinds(slot) => gateway::bind(rules, next, slot),
        Step::GatewayForgetsHello(slot) => next.gateways[slot].greeting = None,
        Step::GatewayUnbinds(slot) => gateway::leave(next, slot),
        Step::GatewayLooks(slot) => gateway::look(next, slot),
        Step::GatewayReads(slot, report) => gateway::read(rules, next, slot, report),
        Step::GatewayCommits(slot) => gateway::commit(rules, next, slot),
        Step::GatewayBegins(slot) => gateway::new_term(next, slot),
        Step::AgentConnects(slot) => agent::connect(next, slot),
        Step::AgentHears(message) => agent::hear(next, message),
        Step::AgentRenames(job) => agent::rename(next, job),
        Step::AgentReports(job) => agent::verify(next, job),
        Step::TimePasses => pass_time(next, None),
        fault => take_fault(rules, next, fault),
    }
    // The API nodes are alike: the first is the busier one.
    if next.api[0] == ApiNode::Idle {
        next.api.swap(0, 1);
    }
    state
}

/// One fault less is left.
fn take_fault(rules: &Rules, state: &mut State, fault: Step) {
    let left = &mut state.left;
    left.faults -= u8::from(fault != Step::TimeDrags);
    match fault {
        Step::TimeDrags => left.delays -= 1,
        Step::TimePassesWithout(_) => left.stalls -= 1,
        Step::ConnectionBreaks(_) => left.losses -= 1,
        Step::Repeats(_) | Step::RepeatsReport(..) | Step::RepeatsJob(_) => left.duplicates -= 1,
        Step::AnotherHand => left.hands -= 1,
        _ => left.crashes -= 1,
    }
    match fault {
        Step::TimeDrags => pass_time(state, None),
        Step::TimePassesWithout(slot) => pass_time(state, Some(slot)),
        Step::ConnectionBreaks(arrives) => {
            if let (Link::Live(slot, _), false) = (state.agent.link, arrives) {
                state.gateways[slot].inbox.clear();
            }
            agent::disconnect(state);
        }
        Step::Repeats(message) => state.post(state.wire[message]),
        Step::RepeatsReport(slot, report) => {
            let told = state.gateways[slot].inbox[report].clone();
            state.gateways[slot].post(told);
        }
        Step::RepeatsJob(slot) => gateway::look(state, slot),
        Step::ApiCrashes(node, committed) => api::crash(state, node, committed),
        Step::GatewayCrashes(slot, committed) => gateway::crash(rules, state, slot, committed),
        Step::AgentCrashes => agent::crash(rules, state),
        Step::AnotherHand => state.agent.entry = RootEntry::Other,
        _ => {}
    }
}

/// A tick. Gateways that run and hold a lease have renewed it, but for one that stood still.
fn pass_time(state: &mut State, still: Option<usize>) {
    let renewing: Vec<_> = [0, 1]
        .into_iter()
        .filter(|&slot| is_leased(state, slot) && still != Some(slot))
        .map(|slot| state.gateways[slot].id())
        .collect();
    state.now = state.now + TICK;
    let (now, bound) = (state.now, state.store.bound.map(|bound| bound.gateway));
    let held = state.gateways.each_ref().map(Gateway::id);
    for (id, lease) in &mut state.store.leases {
        if renewing.contains(id) {
            lease.until = now + Lease::LENGTH;
        }
    }
    // Those that nobody asks about any more are forgotten, or they would make two states of one.
    state
        .store
        .leases
        .retain(|(id, lease)| lease.is_valid(now) || held.contains(id) || bound == Some(*id));
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let happened = |committed: bool| if committed { "after" } else { "before" };
        match *self {
            Self::Ask(node, task) => {
                write!(f, "API node {} is asked for task {}", node + 1, task + 1)
            }
            Self::ApiCommits(node) => write!(f, "API node {} commits", node + 1),
            Self::ApiSweeps(node) => write!(f, "API node {} finds an overdue job", node + 1),
            Self::GatewayBinds(slot) => write!(f, "gateway {} binds the hello it got", slot + 1),
            Self::GatewayForgetsHello(slot) => {
                write!(f, "gateway {} finds a hello's connection gone", slot + 1)
            }
            Self::GatewayUnbinds(slot) => {
                write!(f, "gateway {} finds a connection gone and unbinds it", slot + 1)
            }
            Self::GatewayLooks(slot) => write!(f, "gateway {} finds a job to deliver", slot + 1),
            Self::GatewayReads(slot, _) => {
                write!(f, "gateway {} takes a report and reads its job", slot + 1)
            }
            Self::GatewayCommits(slot) => write!(f, "gateway {} commits and sends", slot + 1),
            Self::GatewayBegins(slot) => write!(f, "gateway {} takes a new id and lease", slot + 1),
            Self::AgentConnects(slot) => write!(f, "the agent says hello to gateway {}", slot + 1),
            Self::AgentHears(_) => write!(f, "a job reaches the agent"),
            Self::AgentRenames(job) => {
                write!(f, "the agent puts the new file in place, for job {}", job + 1)
            }
            Self::AgentReports(job) => write!(f, "the agent reports job {}", job + 1),
            Self::TimePasses => write!(f, "10 s pass"),
            Self::TimeDrags => write!(f, "10 s pass, somebody is slow"),
            Self::TimePassesWithout(slot) => {
                write!(f, "10 s pass; gateway {} stands still and loses its lease", slot + 1)
            }
            Self::ConnectionBreaks(true) => write!(f, "the agent's connection breaks"),
            Self::ConnectionBreaks(false) => {
                write!(f, "the agent's connection breaks, its reports are lost")
            }
            Self::Repeats(_) => write!(f, "a job on its way to the agent is sent twice"),
            Self::RepeatsReport(..) => write!(f, "a report is sent twice"),
            Self::RepeatsJob(slot) => {
                write!(f, "the queue names a job to gateway {} again", slot + 1)
            }
            Self::ApiCrashes(node, committed) => {
                write!(f, "API node {} crashes {} its commit", node + 1, happened(committed))
            }
            Self::GatewayCrashes(slot, committed) => {
                write!(f, "gateway {} crashes {} its commit", slot + 1, happened(committed))
            }
            Self::AgentCrashes => write!(f, "the agent crashes"),
            Self::AnotherHand => write!(f, "another hand changes root's entry"),
        }
    }
}
