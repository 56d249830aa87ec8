//! What is done to the cluster: one thing a round, chosen by the seed.

use std::fmt;
use std::time::Duration;

use opencpm_tests::Dice;
use opencpm_tests::cluster::{Cluster, Condition, Link, Running};
use rustix::process::Signal;

/// One thing that goes wrong.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    what: What,
    /// From the strike until it is taken away.
    pub(crate) lasts: Duration,
}

#[derive(Clone, Debug)]
enum What {
    KillNode(usize),
    StopNode(usize),
    KillAgents(Vec<usize>),
    StopAgents(Vec<usize>),
    Link(Place, usize, Condition),
    FillDisk,
    MoveClock(usize, i64),
}

/// Whose link to a node.
#[derive(Clone, Copy, Debug)]
enum Place {
    Clients,
    Agents,
}

/// Most agents that are struck at once.
const AGENTS: u64 = 5;

/// Seconds. A client's request is refused beyond five minutes (contract 2.6). The only node of a
/// deployment whose clock is ahead by less would carry its machines along, for good: a limit that
/// `docs/security.md` names.
const CLOCKS: [i64; 7] = [-3_600, -400, -15, -2, 2, 400, 3_600];

impl Fault {
    /// One that this cluster can have.
    pub(crate) fn choose(dice: &mut Dice, cluster: &Cluster) -> Self {
        let what = loop {
            if let Some(what) = What::choose(dice, cluster) {
                break what;
            }
        };
        Self { what, lasts: lasts(dice) }
    }

    /// Does it.
    pub(crate) fn strike(&self, cluster: &mut Cluster) {
        match &self.what {
            What::KillNode(number) => cluster.nodes[*number].process.kill(),
            What::StopNode(number) => cluster.nodes[*number].process.signal(Signal::STOP),
            What::KillAgents(numbers) => agents(cluster, numbers, opencpm_tests::Process::kill),
            What::StopAgents(numbers) => agents(cluster, numbers, |it| it.signal(Signal::STOP)),
            What::Link(place, number, condition) => {
                place.link(cluster, *number).set(*condition);
            }
            What::FillDisk => cluster.disk.iter().for_each(|disk| disk.fill()),
            What::MoveClock(number, seconds) => cluster.nodes[*number].move_clock(*seconds),
        }
    }

    /// Takes it away.
    pub(crate) fn heal(&self, cluster: &mut Cluster) {
        match &self.what {
            What::KillNode(_) | What::KillAgents(_) => cluster.tend(),
            What::StopNode(number) => cluster.nodes[*number].process.signal(Signal::CONT),
            What::StopAgents(numbers) => agents(cluster, numbers, |it| it.signal(Signal::CONT)),
            What::Link(place, number, _) => place.link(cluster, *number).set(Condition::Good),
            What::FillDisk => cluster.disk.iter().for_each(|disk| disk.free()),
            What::MoveClock(number, _) => cluster.nodes[*number].move_clock(0),
        }
    }

    /// For counting, and how many parts it struck.
    pub(crate) fn kind(&self) -> (&'static str, usize) {
        match &self.what {
            What::KillNode(_) => ("nodes killed", 1),
            What::StopNode(_) => ("nodes stopped", 1),
            What::KillAgents(them) => ("agents killed", them.len()),
            What::StopAgents(them) => ("agents stopped", them.len()),
            What::Link(_, _, Condition::Cut) => ("links cut", 1),
            What::Link(_, _, Condition::Held) => ("links held", 1),
            What::Link(..) => ("links slowed down", 1),
            What::FillDisk => ("disks filled", 1),
            What::MoveClock(..) => ("clocks moved", 1),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} for {:.1?}", self.what, self.lasts)
    }
}

impl What {
    /// Nothing where this cluster cannot have what the dice say.
    fn choose(dice: &mut Dice, cluster: &Cluster) -> Option<Self> {
        let node = dice.below(cluster.nodes.len());
        Some(match dice.roll(8) {
            0 => Self::KillNode(node),
            1 => Self::StopNode(node),
            2 => Self::KillAgents(some_agents(dice, cluster)?),
            3 => Self::StopAgents(some_agents(dice, cluster)?),
            4 => Self::Link(Place::Clients, node, condition(dice)),
            5 => Self::Link(Place::Agents, node, condition(dice)),
            6 => cluster.disk.as_ref().map(|_| Self::FillDisk)?,
            _ => {
                let can = cluster.nodes[node].has_own_clock();
                can.then(|| Self::MoveClock(node, *dice.pick(&CLOCKS)))?
            }
        })
    }
}

impl Place {
    fn link(self, cluster: &Cluster, node: usize) -> &Link {
        let node = &cluster.nodes[node];
        match self {
            Self::Clients => &node.door,
            Self::Agents => &node.gate,
        }
    }
}

fn condition(dice: &mut Dice) -> Condition {
    match dice.roll(3) {
        0 => Condition::Cut,
        1 => Condition::Held,
        _ => Condition::Slow(Duration::from_millis(50 + dice.roll(450))),
    }
}

/// Mostly short; now and then longer than a gateway's lease, which is ten seconds.
fn lasts(dice: &mut Dice) -> Duration {
    let millis = match dice.roll(12) {
        0 => 11_000 + dice.roll(2_000),
        _ => 200 + dice.roll(2_300),
    };
    Duration::from_millis(millis)
}

fn some_agents(dice: &mut Dice, cluster: &Cluster) -> Option<Vec<usize>> {
    let is_process =
        |machine: &opencpm_tests::cluster::Machine| matches!(machine.agent, Running::Process(_));
    let processes = cluster.machines.iter().filter(|machine| is_process(machine)).count();
    let mut all: Vec<_> = (0..processes).collect();
    let number = usize::try_from(1 + dice.roll(AGENTS)).expect("a few").min(processes);
    let chosen: Vec<_> = (0..number).map(|_| all.swap_remove(dice.below(all.len()))).collect();
    (!chosen.is_empty()).then_some(chosen)
}

fn agents(cluster: &mut Cluster, numbers: &[usize], act: impl Fn(&mut opencpm_tests::Process)) {
    for number in numbers {
        if let Running::Process(process) = &mut cluster.machines[*number].agent {
            act(process);
        }
    }
}
