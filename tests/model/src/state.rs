//! Everything at one moment, and within which bounds it moves.

use std::fmt;

use opencpm_domain::{JobId, Lease, Span, Timestamp};

use crate::agent::Agent;
use crate::api::ApiNode;
use crate::gateway::Gateway;
use crate::store::Store;

/// Two tasks for the same device; each has one job, of the same number.
pub const TASKS: usize = 2;

/// Where time begins.
pub const BEGIN: Timestamp = Timestamp::from_secs(1_000);

/// Time moves by as much as a lease lasts: so whoever misses one renewal has lost it. It is also
/// what lies between not-after and deadline.
pub const TICK: Span = Lease::LENGTH;

/// From acceptance to the deadline, in ticks.
pub const DEADLINE_TICKS: u64 = 2;

/// Time ends here: two jobs can have been accepted and have ended, one after the other, by then.
pub const HORIZON_TICKS: u64 = 2 * DEADLINE_TICKS;

/// What a run may use up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bounds {
    /// All of these together.
    pub faults: u8,
    /// Processes that crash, of any kind.
    pub crashes: u8,
    /// Connections of the agent that break, with what is on its way.
    pub losses: u8,
    /// Messages that come twice.
    pub duplicates: u8,
    /// Ticks that pass although something is under way: 10 s are long for a healthy part.
    pub delays: u8,
    /// Gateways that stand still and lose their lease.
    pub stalls: u8,
    /// Changes of root's entry by another hand.
    pub hands: u8,
}

impl Bounds {
    /// What runs with the other tests.
    pub const SMALL: Self =
        Self { faults: 2, crashes: 2, losses: 1, duplicates: 1, delays: 1, stalls: 1, hands: 0 };

    /// Whether one more of a kind may happen, of which so many are left.
    pub const fn allow(&self, kind: u8) -> bool {
        self.faults > 0 && kind > 0
    }
}

/// The rules as they are. Each can be taken away, to see that the model misses it.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Bindings and deliveries of a gateway without a lease are refused.
    pub fenced: bool,
    /// A report is committed before it is acknowledged.
    pub commits_first: bool,
    /// What an agent knows of its jobs outlives its process.
    pub remembers: bool,
    /// A device that is bound stays so when a hello is bound that it made before.
    pub hellos_in_order: bool,
}

impl Rules {
    /// All of them.
    pub const ALL: Self =
        Self { fenced: true, commits_first: true, remembers: true, hellos_in_order: true };
}

/// All of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The time of every clock.
    pub now: Timestamp,
    /// What may still go wrong.
    pub left: Bounds,
    /// The only truth.
    pub store: Store,
    /// Which clients have their task's id. The others ask, and where they are refused, or hear
    /// nothing, they ask again.
    pub answered: [bool; TASKS],
    /// Two API nodes.
    pub api: [ApiNode; 2],
    /// Two gateways.
    pub gateways: [Gateway; 2],
    /// The machine.
    pub agent: Agent,
    /// Jobs on the way to it, over the connection that it has, in no order.
    pub wire: Vec<usize>,
    /// Of which jobs a frame was ever sent. Nobody in the model knows; the promises do.
    pub sent: [bool; TASKS],
}

impl State {
    /// Nobody has asked for anything; both gateways hold leases, the agent is at the first.
    pub fn initial(bounds: Bounds) -> Self {
        let gateways = [0, 1].map(Gateway::first);
        let mut state = Self {
            now: BEGIN,
            left: bounds,
            store: Store::new(gateways.each_ref().map(Gateway::id)),
            answered: [false; TASKS],
            api: [ApiNode::Idle, ApiNode::Idle],
            gateways,
            agent: Agent::default(),
            wire: Vec::new(),
            sent: [false; TASKS],
        };
        crate::agent::connect(&mut state, 0);
        crate::gateway::bind(&Rules::ALL, &mut state, 0);
        state
    }

    /// How many ticks have passed.
    pub fn ticks(&self) -> u64 {
        self.now.distance(BEGIN).as_micros() / TICK.as_micros()
    }

    /// A frame leaves for the agent.
    pub fn post(&mut self, job: usize) {
        self.wire.push(job);
        // The order does not matter, so two orders are one state.
        self.wire.sort_unstable();
    }
}

/// The id of the job of a task.
pub fn job_id(job: usize) -> JobId {
    JobId::from_bytes([job as u8 + 1; 16])
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { faults, crashes, losses, duplicates, delays, stalls, hands } = self;
        write!(
            f,
            "at most {faults} of {crashes} crashes, {losses} broken connections, {duplicates} \
             repetitions, {stalls} lost leases and {hands} changes by another hand; {delays} delays"
        )
    }
}

impl fmt::Display for State {
    /// What an operator could see: the store's jobs and the machine's disk.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "      [{} s", self.ticks() * TICK.as_secs())?;
        for (number, job) in self.store.jobs.iter().enumerate() {
            if let Some(job) = job {
                write!(f, "; job {}: {}", number + 1, job)?;
            }
        }
        write!(f, "; {}; {}]", self.store.where_bound(), self.agent)
    }
}
