//! The agent's life: connected as long as it can be.

use std::error::Error;

use opencpm_domain::Span;
use opencpm_protocol::message::Farewell;

use crate::address::Address;
use crate::agent::Agent;
use crate::backoff::{Backoff, shuffle};
use crate::converse::EndError;
use crate::session::{Ended, session};

/// Connects, serves, and connects again, until the clock's pause says that it is enough.
///
/// The process may be killed at any moment: everything that must last is on the disk.
pub fn run(agent: &mut Agent<'_>) {
    agent.recover();
    let mut backoff = Backoff::default();
    loop {
        let ended = round(agent);
        if ended.as_ref().is_some_and(is_good) {
            backoff.reset();
        }
        let asked = ended.as_ref().map_or(0, asked_wait);
        let own = backoff.next(agent.surroundings.rng);
        let wait = own.max(Span::from_secs(asked.into()));
        tracing::info!(seconds = wait.as_secs(), "connecting again after a pause");
        if agent.surroundings.clock.pause(wait).is_break() {
            return;
        }
    }
}

/// Tries the gateways in random order until one of them served. The last session's end.
fn round(agent: &mut Agent<'_>) -> Option<Ended> {
    let mut gateways = agent.state.identity.gateways.clone();
    shuffle(&mut gateways, agent.surroundings.rng);
    let mut last = None;
    for gateway in gateways {
        let Ok(address) = gateway.parse::<Address>() else {
            tracing::error!(gateway, "not an address; skipped");
            continue;
        };
        let ended = session(agent, &address);
        tracing::warn!(
            gateway,
            lived = ended.lived,
            why = &ended.why as &dyn Error,
            "disconnected"
        );
        let lived = ended.lived;
        last = Some(ended);
        if lived {
            break;
        }
    }
    last
}

/// A connection that another one of the same device replaced is no good sign: two machines that
/// believe to be one device would take turns every second.
fn is_good(ended: &Ended) -> bool {
    let replaced = matches!(&ended.why, EndError::Goodbye(goodbye)
        if Farewell::from_number(goodbye.why) == Some(Farewell::Replaced));
    ended.lived && !replaced
}

/// Seconds; a server may ask for an hour at most.
fn asked_wait(ended: &Ended) -> u32 {
    match &ended.why {
        EndError::Goodbye(goodbye) => goodbye.wait.min(3600),
        _ => 0,
    }
}
