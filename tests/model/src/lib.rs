//! A checked model of acceptance, delivery, leases and reports: two API nodes, two gateways, one
//! agent, and two tasks for the same device. Every order in which things can happen is looked at,
//! within [`Bounds`](state::Bounds).
//!
//! Read it to learn the protocol; each part's file has little more than its steps:
//!
//! | file | what it is |
//! | --- | --- |
//! | `state` | everything at one moment, the bounds, and the rules that can be taken away |
//! | `step` | what can happen next |
//! | `api` | a node takes tasks, and ends jobs whose time is over |
//! | `store` | the rows, as the `Store` port promises |
//! | `gateway` | binds the agent, delivers its jobs, records its reports |
//! | `agent` | the agent with its real record; the disk is made up |
//! | `promises` | what must hold at every step, and where a run ends |
//! | `alike` | which states are one and the same |
//! | `explore` | looks at every state |
//!
//! What decides is the code of the system itself: `JobState`, `Connection::reach`, `Sequence`,
//! `check_reset_allowed` of the domain, `check_sequence` and `check_time` of the protocol, `Jobs` and
//! `AfterCrash` of the agent. The model adds who calls what when, and what a crash leaves of it.
//!
//! What is not in the model:
//! - The queue: a gateway may look for a job that was never sent at any moment, so the queue may
//!   lose and reorder; naming a job once more is a step.
//! - Clocks that differ, sealing, signatures: a report is a value that only the agent makes.
//! - Reads that fail, and stores that are away: asking again is the same step later.
//! - How long a process is down: it starts again at once, and need not do anything then.

#![forbid(unsafe_code)]

pub mod agent;
pub mod alike;
pub mod api;
pub mod explore;
pub mod gateway;
pub mod promises;
pub mod state;
pub mod step;
pub mod store;

use explore::Model;
use state::{Bounds, Rules, State};
use step::Step;

/// The system within bounds, by some rules.
#[derive(Clone, Copy, Debug)]
pub struct System {
    /// What may go wrong.
    pub bounds: Bounds,
    /// The rules.
    pub rules: Rules,
}

impl Model for System {
    type State = State;
    type Step = Step;

    fn initial(&self) -> State {
        State::initial(self.bounds)
    }

    fn standing_for(&self, state: &State) -> State {
        alike::standing_for(state)
    }

    fn steps(&self, state: &State) -> Vec<Step> {
        step::steps(state)
    }

    fn is_fault(step: &Step) -> bool {
        step.is_fault()
    }

    fn take(&self, state: &State, step: &Step) -> State {
        step::take(&self.rules, state, *step)
    }

    fn broken_by(&self, before: &State, after: &State) -> Option<&'static str> {
        promises::broken_by(before, after)
    }

    fn broken_at_end(&self, end: &State) -> Option<&'static str> {
        promises::broken_at_end(end)
    }
}
