//! What is done to the cluster: one thing a round, chosen by the seed.

use std::fmt;
use std::time::Duration;

use opencpm_servers::Daemon;
use opencpm_tests::cluster::{Cluster, Condition, Link, Machine, Running};
use opencpm_tests::{Dice, Process};
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
    Node(Deed, usize),
    /// All at once.
    Gateways(Deed),
    Engine(Deed, Engine),
    Agents(Deed, Vec<usize>),
    Link(Place, usize, Condition),
    FillDisk,
    MoveClock(usize, i64),
}

/// What is done to a process.
#[derive(Clone, Copy, Debug)]
enum Deed {
    /// SIGKILL, and it is started again.
    Kill,
    /// SIGSTOP, and it goes on.
    Stop,
    /// SIGTERM, and it is started again: how a node is upgraded.
    End,
}

/// What several nodes share.
#[derive(Clone, Copy, Debug)]
enum Engine {
    Store,
    Broker,
}

/// Whose link: to a node, or from it.
#[derive(Clone, Copy, Debug)]
enum Place {
    Clients,
    Agents,
    Store,
    Broker,
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
            What::Node(deed, number) => deed.strike(&mut cluster.nodes[*number].process),
            What::Gateways(deed) => gateways(cluster).for_each(|it| deed.strike(it)),
            What::Engine(deed, engine) => engine.strike(cluster, *deed),
            What::Agents(deed, numbers) => agents(cluster, numbers, |it| deed.strike(it)),
            What::Link(place, number, condition) => {
                place.link(cluster, *number).iter().for_each(|link| link.set(*condition));
            }
            What::FillDisk => cluster.disk.iter().for_each(|disk| disk.fill()),
            What::MoveClock(number, seconds) => cluster.nodes[*number].move_clock(*seconds),
        }
    }

    /// Takes it away. What has ended is started again.
    pub(crate) fn heal(&self, cluster: &mut Cluster) {
        match &self.what {
            What::Node(deed, number) => deed.heal(&mut cluster.nodes[*number].process),
            What::Gateways(deed) => gateways(cluster).for_each(|it| deed.heal(it)),
            What::Engine(deed, engine) => engine.heal(cluster, *deed),
            What::Agents(deed, numbers) => agents(cluster, numbers, |it| deed.heal(it)),
            What::Link(place, number, _) => {
                place.link(cluster, *number).iter().for_each(|link| link.set(Condition::Good));
            }
            What::FillDisk => cluster.disk.iter().for_each(|disk| disk.free()),
            What::MoveClock(number, _) => cluster.nodes[*number].move_clock(0),
        }
        cluster.tend();
    }

    /// For counting, and how many parts it struck.
    pub(crate) fn kind(&self) -> (&'static str, usize) {
        match &self.what {
            What::Node(Deed::Kill, _) => ("nodes killed", 1),
            What::Node(Deed::Stop, _) => ("nodes stopped", 1),
            What::Node(Deed::End, _) => ("nodes restarted", 1),
            What::Gateways(Deed::End) => ("times all gateways restarted", 1),
            What::Gateways(_) => ("times all gateways killed", 1),
            What::Engine(Deed::Stop, Engine::Store) => ("times PostgreSQL stopped", 1),
            What::Engine(_, Engine::Store) => ("times PostgreSQL killed", 1),
            What::Engine(Deed::Stop, Engine::Broker) => ("times RabbitMQ stopped", 1),
            What::Engine(_, Engine::Broker) => ("times RabbitMQ killed", 1),
            What::Agents(Deed::Stop, them) => ("agents stopped", them.len()),
            What::Agents(_, them) => ("agents killed", them.len()),
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
        let hard = *dice.pick(&[Deed::Kill, Deed::Stop]);
        Some(match dice.roll(10) {
            0 => Self::Node(hard, node),
            1 => Self::Node(Deed::End, node),
            2 => {
                let any = cluster.nodes.iter().any(|node| node.door.is_none());
                any.then(|| Self::Gateways(*dice.pick(&[Deed::Kill, Deed::End])))?
            }
            3 => {
                let engine = *dice.pick(&[Engine::Store, Engine::Broker]);
                cluster.servers.as_ref().map(|_| Self::Engine(hard, engine))?
            }
            4 => Self::Agents(hard, some_agents(dice, cluster)?),
            5..8 => {
                let all = [Place::Clients, Place::Agents, Place::Store, Place::Broker];
                let place = *dice.pick(&all);
                let is = place.link(cluster, node).is_some();
                is.then(|| Self::Link(place, node, condition(dice)))?
            }
            8 => cluster.disk.as_ref().map(|_| Self::FillDisk)?,
            _ => {
                let can = cluster.nodes[node].has_own_clock();
                can.then(|| Self::MoveClock(node, *dice.pick(&CLOCKS)))?
            }
        })
    }
}

impl Deed {
    fn strike(self, process: &mut Process) {
        match self {
            Self::Kill => process.kill(),
            Self::Stop => process.signal(Signal::STOP),
            Self::End => process.signal(Signal::TERM),
        }
    }

    fn heal(self, process: &mut Process) {
        match self {
            Self::Kill => {}
            Self::Stop => process.signal(Signal::CONT),
            Self::End => process.ended(),
        }
    }
}

impl Engine {
    fn strike(self, cluster: &mut Cluster, deed: Deed) {
        let daemon = self.of(cluster);
        match deed {
            Deed::Stop => daemon.freeze(),
            Deed::Kill | Deed::End => daemon.kill(),
        }
    }

    fn heal(self, cluster: &mut Cluster, deed: Deed) {
        if matches!(deed, Deed::Stop) {
            self.of(cluster).thaw();
        }
    }

    fn of(self, cluster: &mut Cluster) -> &mut Daemon {
        let servers = cluster.servers.as_mut().expect("a cluster with servers");
        match self {
            Self::Store => &mut servers.postgres,
            Self::Broker => &mut servers.rabbit,
        }
    }
}

impl Place {
    /// Not every node has each.
    fn link(self, cluster: &Cluster, node: usize) -> Option<&Link> {
        let node = &cluster.nodes[node];
        match self {
            Self::Clients => node.door.as_ref(),
            Self::Agents => Some(&node.gate),
            Self::Store => node.store.as_ref(),
            Self::Broker => node.broker.as_ref(),
        }
    }
}

fn gateways(cluster: &mut Cluster) -> impl Iterator<Item = &mut Process> {
    let all = cluster.nodes.iter_mut().filter(|node| node.door.is_none());
    all.map(|node| &mut node.process)
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
    let is_process = |machine: &Machine| matches!(machine.agent, Running::Process(_));
    let processes = cluster.machines.iter().filter(|machine| is_process(machine)).count();
    let mut all: Vec<_> = (0..processes).collect();
    let number = usize::try_from(1 + dice.roll(AGENTS)).expect("a few").min(processes);
    let chosen: Vec<_> = (0..number).map(|_| all.swap_remove(dice.below(all.len()))).collect();
    (!chosen.is_empty()).then_some(chosen)
}

fn agents(cluster: &mut Cluster, numbers: &[usize], act: impl Fn(&mut Process)) {
    for number in numbers {
        if let Running::Process(process) = &mut cluster.machines[*number].agent {
            act(process);
        }
    }
}
