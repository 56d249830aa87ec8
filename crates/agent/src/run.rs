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
/// The process may be killed at any moment: everything that must last is on the disk. Nothing that
/// a server says ends it: one gateway in wrong hands could then stop a whole fleet.
pub fn run(agent: &mut Agent<'_>) {
    agent.recover();
    let mut backoff = Backoff::default();
    loop {
        let ended = round(agent);
        match ended.as_ref().map(signs) {
            Some(Signs::Good) => backoff.reset(),
            Some(Signs::Hopeless) => {
                tracing::error!(
                    device = %agent.state.identity.instance,
                    "the server does not want this device: enrol the machine again, with a token \
                     for the device, or stop this service; trying again every few minutes"
                );
                backoff.slow_down();
            }
            Some(Signs::Bad) | None => {}
        }
        let asked = ended.as_ref().map_or(0, asked_wait);
        let now = agent.surroundings.clock.since_boot();
        let own = backoff.next(now, agent.surroundings.rng);
        let wait = own.max(Span::from_secs(asked.into()));
        tracing::info!(seconds = wait.as_secs(), "connecting again after a pause");
        if agent.surroundings.clock.pause(wait).is_break() {
            return;
        }
    }
}

/// Tries the gateways until one welcomed the device. The last session's end.
fn round(agent: &mut Agent<'_>) -> Option<Ended> {
    let mut last = None;
    for gateway in agent.gateways() {
        let ended = session(agent, &gateway);
        let welcomed = ended.lived.is_some();
        let why = &ended.why as &dyn Error;
        tracing::warn!(gateway = %ended.gateway, welcomed, why, "disconnected");
        last = Some(ended);
        if welcomed {
            break;
        }
    }
    last
}

impl Agent<'_> {
    /// The gateways in random order, and last the addresses where it enrolled: a list of gateways
    /// that cannot be reached from here must not strand the machine.
    fn gateways(&mut self) -> Vec<Address> {
        let [mut gateways, others] = self.addresses();
        gateways.extend(others);
        gateways
    }

    /// The gateways in random order, and the other addresses where it enrolled.
    fn addresses(&mut self) -> [Vec<Address>; 2] {
        let identity = &self.state.identity;
        let mut gateways = identity.gateways.clone();
        shuffle(&mut gateways, self.surroundings.rng);
        let others = identity.addresses.iter().filter(|a| !gateways.contains(a)).cloned();
        let others: Vec<_> = others.collect();
        let parse = |text: String| match text.parse() {
            Ok(address) => Some(address),
            Err(_) => {
                tracing::error!(gateway = text, "not an address; skipped");
                None
            }
        };
        [gateways, others].map(|all| all.into_iter().filter_map(parse).collect())
    }

    /// Where to move from this gateway: to the other gateways, then to its own address, because
    /// others may be behind it, and last to where it enrolled, where there may be none.
    pub(crate) fn elsewhere(&mut self, gateway: &Address) -> Vec<Address> {
        let mut all = self.addresses();
        all.iter_mut().for_each(|addresses| addresses.sort_by_key(|address| address == gateway));
        all.concat()
    }
}

/// What a session's end says of the next one.
#[derive(Debug, PartialEq, Eq)]
enum Signs {
    Good,
    Bad,
    /// Only an administrator can change it.
    Hopeless,
}

/// A session this long was one, whatever ended it. A server that welcomes and fails at once is to
/// be met with patience.
const STEADY: Span = Span::from_secs(5);

fn signs(ended: &Ended) -> Signs {
    let farewell = match &ended.why {
        EndError::Goodbye(goodbye) => Farewell::from_number(goodbye.why),
        _ => None,
    };
    match (farewell, ended.lived) {
        (Some(Farewell::Retired | Farewell::NotRecognised), _) => Signs::Hopeless,
        // Two machines that believe to be one device would take turns every second.
        (Some(Farewell::Replaced), _) => Signs::Bad,
        (_, Some(lived)) if ended.useful || lived >= STEADY => Signs::Good,
        _ => Signs::Bad,
    }
}

/// Seconds; a server may ask for an hour at most.
fn asked_wait(ended: &Ended) -> u32 {
    match &ended.why {
        EndError::Goodbye(goodbye) => goodbye.wait.min(3600),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opencpm_protocol::message::Goodbye;

    fn after(farewell: Option<Farewell>, lived: Option<u64>, useful: bool) -> Signs {
        let goodbye =
            |why| EndError::Goodbye(Goodbye { why: why as u16, text: String::new(), wait: 0 });
        let why = farewell.map_or(EndError::Closed, goodbye);
        signs(&Ended {
            gateway: "a:1".parse().unwrap(),
            lived: lived.map(Span::from_secs),
            useful,
            why,
        })
    }

    #[test]
    fn a_session_that_served_or_lasted_is_a_good_sign_and_a_mere_welcome_is_none() {
        assert_eq!(after(None, Some(0), true), Signs::Good);
        assert_eq!(after(None, Some(5), false), Signs::Good);
        assert_eq!(after(Some(Farewell::Draining), Some(9), false), Signs::Good);
        assert_eq!(after(Some(Farewell::Unavailable), Some(0), false), Signs::Bad);
        assert_eq!(after(None, None, false), Signs::Bad);
    }

    #[test]
    fn two_machines_with_one_identity_do_not_take_turns_every_second() {
        assert_eq!(after(Some(Farewell::Replaced), Some(60), true), Signs::Bad);
    }

    #[test]
    fn a_device_that_nobody_wants_asks_rarely() {
        assert_eq!(after(Some(Farewell::Retired), Some(60), true), Signs::Hopeless);
        assert_eq!(after(Some(Farewell::NotRecognised), None, false), Signs::Hopeless);
    }
}
