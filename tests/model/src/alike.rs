//! Which states are one and the same: names that nobody compares, and counters of which only the
//! order matters, make no difference. The explorer keeps one of each.

use std::hash::{DefaultHasher, Hash, Hasher};

use opencpm_domain::{GatewayId, JobState};

use crate::agent::Link;
use crate::api::ApiNode;
use crate::gateway::Desk;
use crate::state::{BEGIN, State, TASKS};
use crate::store::Change;

/// The state that stands for all that are like this one.
pub fn standing_for(state: &State) -> State {
    let mut plain = state.clone();
    renumber_connections(&mut plain);
    renumber_hellos(&mut plain);
    rename_terms(&mut plain);
    forget_counts(&mut plain);
    match plain.agent.link {
        Link::Greeting(0) | Link::Live(0, _) => plain,
        Link::Greeting(_) | Link::Live(..) => mirrored(plain),
        Link::None => {
            let other = mirrored(plain.clone());
            if fingerprint(&other) < fingerprint(&plain) { other } else { plain }
        }
    }
}

fn fingerprint(state: &State) -> u64 {
    let mut hasher = DefaultHasher::new();
    state.hash(&mut hasher);
    hasher.finish()
}

/// Of the epochs that somebody still knows, only the order counts.
fn renumber_connections(state: &mut State) {
    let mut epochs: Vec<&mut u64> = vec![&mut state.store.epoch];
    epochs.extend(state.store.bound.as_mut().map(|bound| &mut bound.epoch));
    if let Link::Live(_, epoch) = &mut state.agent.link {
        epochs.push(epoch);
    }
    for gateway in &mut state.gateways {
        epochs.extend(gateway.seat.as_mut());
        if let Desk::Attempt(_, epoch) = &mut gateway.desk {
            epochs.push(epoch);
        }
    }
    for node in &mut state.api {
        if let ApiNode::Accepting(sealed) = node {
            epochs.push(&mut sealed.binding.epoch);
        }
    }
    rank(epochs);
}

/// So it is with the hellos. When the one was made by which the device is bound no longer matters
/// once it is not.
fn renumber_hellos(state: &mut State) {
    let now = state.now;
    let bound = state.store.bound.map(|bound| bound.gateway);
    if !bound.is_some_and(|gateway| state.store.is_leased(gateway, now)) {
        state.store.made = 0;
    }
    let mut hellos = vec![&mut state.store.made, &mut state.agent.hellos];
    for gateway in &mut state.gateways {
        hellos.extend(gateway.greeting.as_mut().map(|hello| &mut hello.made));
    }
    rank(hellos);
}

/// Each number becomes its place among them.
fn rank(numbers: Vec<&mut u64>) {
    let mut known: Vec<u64> = numbers.iter().map(|number| **number).collect();
    known.sort_unstable();
    known.dedup();
    for number in numbers {
        *number = known.iter().take_while(|known| **known < *number).count() as u64;
    }
}

/// A former id of a gateway matters while it has a lease, or somebody is bound to it.
fn rename_terms(state: &mut State) {
    for slot in [0, 1] {
        let now = state.now;
        let bound = state.store.bound.map(|bound| bound.gateway);
        let current = state.gateways[slot].id();
        state
            .store
            .leases
            .retain(|(id, lease)| lease.is_valid(now) || *id == current || bound == Some(*id));
        let mut terms = vec![current.as_bytes()[1]];
        each_id(state, &mut |id| {
            let [of, term, ..] = *id.as_bytes();
            if usize::from(of) == slot + 1 {
                terms.push(term);
            }
        });
        terms.sort_unstable();
        terms.dedup();
        let rank = |term: u8| terms.iter().take_while(|known| **known < term).count() as u8;
        state.gateways[slot].rename(slot, rank(current.as_bytes()[1]));
        each_id(state, &mut |id| {
            let [of, term, ..] = *id.as_bytes();
            if usize::from(of) == slot + 1 {
                *id = named(of, rank(term));
            }
        });
    }
}

/// Versions are compared with the present one only; a job was sent, or it was not; when an ended job
/// would have ended does not matter.
fn forget_counts(state: &mut State) {
    let versions: [u8; TASKS] =
        std::array::from_fn(|job| state.store.jobs[job].as_ref().map_or(0, |row| row.version));
    let plain = |change: &mut Change| {
        change.version = u8::from(change.version == versions[change.job]);
        forget_attempts(&mut change.state);
    };
    for node in &mut state.api {
        if let ApiNode::Sweeping(change) = node {
            plain(change);
        }
    }
    for gateway in &mut state.gateways {
        if let Desk::Attempt(change, _) | Desk::Record(change) = &mut gateway.desk {
            plain(change);
        }
    }
    for row in state.store.jobs.iter_mut().flatten() {
        row.version = 1;
        forget_attempts(&mut row.state);
        if !row.state.is_open() {
            row.deadline = BEGIN;
        }
    }
}

fn forget_attempts(state: &mut JobState) {
    if let JobState::Attempted { attempts }
    | JobState::Succeeded { attempts, .. }
    | JobState::Failed { attempts, .. } = state
    {
        *attempts = (*attempts).min(1);
    }
}

/// The gateways change places.
fn mirrored(mut state: State) -> State {
    state.gateways.swap(0, 1);
    for slot in [0, 1] {
        let term = state.gateways[slot].id().as_bytes()[1];
        state.gateways[slot].rename(slot, term);
    }
    if let Link::Greeting(slot) | Link::Live(slot, _) = &mut state.agent.link {
        *slot = 1 - *slot;
    }
    each_id(&mut state, &mut |id| {
        let [of, term, ..] = *id.as_bytes();
        *id = named(3 - of, term);
    });
    state
}

/// Every place where a gateway's id is kept, but for the gateway itself.
fn each_id(state: &mut State, change: &mut dyn FnMut(&mut GatewayId)) {
    if let Some(bound) = &mut state.store.bound {
        change(&mut bound.gateway);
    }
    for (id, _) in &mut state.store.leases {
        change(id);
    }
    for node in &mut state.api {
        if let ApiNode::Accepting(sealed) = node {
            change(&mut sealed.binding.gateway);
        }
    }
    state.store.leases.sort_unstable_by_key(|(id, _)| *id.as_bytes());
}

fn named(slot: u8, term: u8) -> GatewayId {
    let mut bytes = [0; 16];
    (bytes[0], bytes[1]) = (slot, term);
    GatewayId::from_bytes(bytes)
}
