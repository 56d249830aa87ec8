use std::num::NonZeroUsize;
use std::time::Duration;

use opencpm_operations::lease::LEASE;

/// Limits and intervals of a gateway. The defaults suit a fleet of tens of thousands.
#[derive(Clone, Debug)]
pub struct Config {
    /// Peers at once that have not proved yet which device they are. More wait to be accepted.
    pub handshakes: NonZeroUsize,
    /// The same, from one address; `None` for no limit, because fleets sit behind one NAT. More
    /// are closed at once.
    pub handshakes_per_address: Option<NonZeroUsize>,
    /// From the connection to the end of the WebSocket upgrade. The conversation that follows has
    /// its own limit, counted from the connection too.
    pub upgrade_limit: Duration,
    /// A peer that takes so long to take a frame is closed.
    pub write_limit: Duration,
    /// How long a lease is valid, counted from the request for it: not longer than
    /// [`LEASE`], for which the store is asked.
    pub lease: Duration,
    /// From one renewal of the lease to the next; well under the lease.
    pub renewal: Duration,
    /// From one search for jobs that nobody delivered to the next.
    pub sweep: Duration,
    /// A job without a report is delivered again after this.
    pub redelivery: Duration,
    /// Over so much time the farewells of a drain are spread, so that the other gateways are not
    /// stormed. The whole drain takes at most three times as long.
    pub drain: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            handshakes: NonZeroUsize::MIN.saturating_add(255),
            handshakes_per_address: None,
            upgrade_limit: Duration::from_secs(10),
            write_limit: Duration::from_secs(10),
            lease: Duration::from_micros(LEASE.as_micros()),
            renewal: Duration::from_secs(3),
            sweep: Duration::from_secs(3),
            redelivery: Duration::from_secs(20),
            drain: Duration::from_secs(5),
        }
    }
}
