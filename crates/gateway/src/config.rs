use std::num::NonZeroUsize;
use std::time::Duration;

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
    /// From one search for jobs that nobody delivered to the next.
    pub sweep: Duration,
    /// A job without a report is delivered again after this.
    pub redelivery: Duration,
    /// So long has a drain patience with agents that are to move to another gateway; zero where
    /// there can be none. Those that are still here then get a farewell.
    pub hand_over: Duration,
    /// So many agents are told to move in a second, more where half of `hand_over` would not be
    /// enough for all: the others have to let them in.
    pub moves: NonZeroUsize,
    /// Over so much time the farewells of a drain are spread, so that the other gateways are not
    /// stormed. From the first of them, the drain takes at most four times as long.
    pub drain: Duration,
}

impl Config {
    /// How many of `all` are told to move at once, with such a pause after each time.
    pub(crate) fn wave(&self, all: usize, pause: Duration) -> usize {
        let fits = |time: Duration| usize::try_from(time.as_millis() / pause.as_millis().max(1));
        let a_second = fits(Duration::from_secs(1)).unwrap_or(1).max(1);
        let waves = fits(self.hand_over / 2).unwrap_or(1).max(1);
        all.div_ceil(waves).max(self.moves.get().div_ceil(a_second))
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            handshakes: NonZeroUsize::MIN.saturating_add(255),
            handshakes_per_address: None,
            upgrade_limit: Duration::from_secs(10),
            write_limit: Duration::from_secs(10),
            sweep: Duration::from_secs(3),
            redelivery: Duration::from_secs(20),
            hand_over: Duration::from_secs(30),
            moves: NonZeroUsize::MIN.saturating_add(499),
            drain: Duration::from_secs(5),
        }
    }
}
