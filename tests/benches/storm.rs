//! Every agent is cut off at once, and all come back: how long it takes, what the nodes need
//! meanwhile, and whether they refuse live work. `cargo xtask storm` runs it with release builds.
//!
//! Two API nodes and two gateways over PostgreSQL and RabbitMQ. The agents are the real code in
//! threads, with their real patience, over real TLS.

#![expect(clippy::print_stdout, reason = "a benchmark answers on standard output")]
#![expect(clippy::expect_used, reason = "what goes wrong ends the benchmark")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use opencpm_tests::cluster::{Cluster, Condition, DATABASE, Form, Node, Shape};
use opencpm_tests::{Client, Dice, Until, eventually};
use serde_json::Value;

/// Unless the environment says otherwise (`AGENTS`).
const AGENTS: usize = 2_000;

/// How long the network is away.
const AWAY: Duration = Duration::from_secs(30);

/// Before each event: a connection that ends sooner counts as a failed one for the agent.
const QUIET: Duration = Duration::from_secs(10);

/// Nothing may take longer.
const PATIENCE: Duration = Duration::from_secs(600);

/// Between two calls of one client.
const PAUSE: Duration = Duration::from_millis(10);

const HEAD: &str = "what | cut off | seconds until 50 % are back | 99 % | all | \
                    calls answered a second | refused | slowest ms | \
                    peak MiB of the API nodes | of the gateways";

fn main() {
    let agents = std::env::var("AGENTS").ok().map_or(AGENTS, |n| n.parse().expect("a number"));
    let cluster = Cluster::start(&Shape {
        nodes: Form::Servers { api: 2, gateways: 2 },
        processes: 0,
        threads: agents,
        patience: PATIENCE,
        deadline: Duration::from_secs(120),
    });
    let storm = Storm { agents, cluster: RefCell::new(cluster) };
    storm.wait_for(agents, &[]);
    println!("{agents} agents, connected\n{HEAD}");
    storm.during("nothing", || {
        pass(QUIET);
        CutOff { gateways: Vec::new(), agents: 0, back: Instant::now() }
    });
    storm.during("the network comes back", || {
        storm.set_gates(Condition::Cut);
        pass(AWAY);
        let left = storm.connected(&[]);
        storm.set_gates(Condition::Good);
        CutOff { gateways: Vec::new(), agents: agents - left, back: Instant::now() }
    });
    storm.during("a gateway is killed", || storm.kill(2));
    storm.start_again(2);
    storm.during("the gateway of all is killed", || storm.kill(3));
}

/// What a storm begins with.
struct CutOff {
    /// Those that are dead: a machine that is still bound to one is not back.
    gateways: Vec<String>,
    agents: usize,
    /// From when on agents can come back.
    back: Instant,
}

struct Storm {
    agents: usize,
    cluster: RefCell<Cluster>,
}

/// What clients met.
#[derive(Default)]
struct Met {
    answered: Vec<Duration>,
    refused: BTreeMap<String, usize>,
}

impl Storm {
    fn set_gates(&self, condition: Condition) {
        self.cluster.borrow().nodes[2..].iter().for_each(|node| node.gate.set(condition));
    }

    /// Kills a node that is a gateway. Nobody starts it again.
    fn kill(&self, number: usize) -> CutOff {
        let gateways = {
            let node = &mut self.cluster.borrow_mut().nodes[number];
            node.process.kill();
            vec![lease(node)]
        };
        let left = self.connected(&gateways);
        CutOff { gateways, agents: self.agents - left, back: Instant::now() }
    }

    fn start_again(&self, number: usize) {
        let node = &mut self.cluster.borrow_mut().nodes[number];
        let before = lease(node);
        node.process.tend();
        eventually("a gateway", PATIENCE, || (lease(node) != before).then_some(()));
    }

    /// After some quiet does something, and waits until every agent is connected again, while
    /// clients ask.
    fn during(&self, what: &str, work: impl FnOnce() -> CutOff) {
        pass(QUIET);
        self.cluster.borrow().nodes.iter().for_each(|node| {
            // Resets the peak: proc_pid_clear_refs(5).
            fs::write(format!("/proc/{}/clear_refs", node.process.id()), "5").expect("our own");
        });
        let over = AtomicBool::new(false);
        let machines = |cluster: &Cluster| {
            cluster.machines.iter().map(|it| it.instance.clone()).collect::<Vec<_>>()
        };
        let instances = machines(&self.cluster.borrow());
        let (cut_off, took, times, met) = thread::scope(|scope| {
            let (over, instances) = (&over, &instances);
            let clients = [0, 1].map(|number| {
                let client = self.client(number);
                scope.spawn(move || ask(&client, instances, Dice::new(number as u64), over))
            });
            let until = Until(over);
            let asked = Instant::now();
            let CutOff { gateways, agents, back } = work();
            let times = [50, 1, 0].map(|percent| {
                self.wait_for(self.agents - agents * percent / 100, &gateways);
                back.elapsed()
            });
            drop(until);
            let took = asked.elapsed();
            let met = clients.into_iter().map(|client| client.join().expect("a client"));
            (agents, took, times, met.fold(Met::default(), Met::and))
        });
        let [half, most, all] = times.map(|time| time.as_secs_f64());
        let slowest = met.answered.iter().max().copied().unwrap_or_default();
        println!(
            "{what} | {cut_off} | {half:.1} | {most:.1} | {all:.1} | {:.0} | {:?} | {:.0} | {:?} | {:?}",
            met.answered.len() as f64 / took.as_secs_f64(),
            met.refused,
            slowest.as_secs_f64() * 1e3,
            self.peaks(0..2),
            self.peaks(2..4),
        );
    }

    fn client(&self, node: usize) -> Client {
        let cluster = self.cluster.borrow();
        cluster.nodes[node].client(&cluster.key)
    }

    /// Waits until so many agents are connected to another gateway than these.
    fn wait_for(&self, number: usize, dead: &[String]) {
        eventually("agents that come back", PATIENCE, || {
            let enough = self.connected(dead) >= number;
            if !enough {
                thread::park_timeout(Duration::from_millis(200));
            }
            enough.then_some(())
        });
    }

    /// How many agents are connected to another gateway than these. The API would believe in a
    /// dead gateway until its lease ends.
    fn connected(&self, dead: &[String]) -> usize {
        let cluster = self.cluster.borrow();
        let servers = cluster.servers.as_ref().expect("a cluster with servers");
        let dead: Vec<_> = dead.iter().map(|id| format!("'{id}'")).collect();
        let sql = format!(
            "SELECT count(*) FROM device WHERE gateway IS NOT NULL
                AND encode(gateway, 'hex') <> ALL (ARRAY[{}]::text[])",
            dead.join(", ")
        );
        servers.postgres.sql(DATABASE, &sql).parse().expect("a number")
    }

    /// MiB, of the nodes that run; from proc_pid_status(5).
    fn peaks(&self, nodes: std::ops::Range<usize>) -> Vec<u64> {
        let mut cluster = self.cluster.borrow_mut();
        let running = cluster.nodes[nodes].iter_mut().filter_map(|node| {
            let runs = node.process.is_running();
            runs.then(|| format!("/proc/{}/status", node.process.id()))
        });
        let peak = |path: String| {
            let text = fs::read_to_string(path).expect("our own process");
            let value = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let value = value.and_then(|value| value.trim().strip_suffix(" kB")).map(str::parse);
            value.expect("documented").map_or(0, |kib: u64| kib >> 10)
        };
        running.map(peak).collect()
    }
}

/// The gateway's id in its newest lease, or nothing.
fn lease(node: &Node) -> String {
    let said = node.process.said();
    said.rsplit_once("holds a lease gateway=")
        .and_then(|(_, id)| id.get(..32))
        .unwrap_or_default()
        .to_owned()
}

/// Lets time pass. A thread that ended may have left its wake-up call behind.
fn pass(time: Duration) {
    let begin = Instant::now();
    while let Some(left) = time.checked_sub(begin.elapsed()).filter(|left| !left.is_zero()) {
        thread::park_timeout(left);
    }
}

/// A client that reads a device and resets one, in turn.
fn ask(client: &Client, instances: &[String], mut dice: Dice, over: &AtomicBool) -> Met {
    let mut met = Met::default();
    let mut reads = true;
    while !over.load(Ordering::Relaxed) {
        let one = [("instanceIds.0", dice.pick(instances).as_str()), ("passwd", "Storm#1234")];
        let begin = Instant::now();
        let answer = match reads {
            true => client.try_call("DescribeDevice", &one[..1]),
            false => client.try_call("ResetDevicePasswd", &one),
        };
        met.take(answer.as_ref(), begin.elapsed());
        reads = !reads;
        thread::park_timeout(PAUSE);
    }
    met
}

impl Met {
    fn take(&mut self, answer: Result<&Value, &std::io::Error>, took: Duration) {
        match answer.map(|answer| answer["code"].as_u64()) {
            Ok(Some(0)) => self.answered.push(took),
            Ok(code) => {
                *self.refused.entry(format!("{}", code.unwrap_or_default())).or_default() += 1
            }
            Err(error) => *self.refused.entry(error.kind().to_string()).or_default() += 1,
        }
    }

    fn and(mut self, other: Self) -> Self {
        self.answered.extend(other.answered);
        for (code, number) in other.refused {
            *self.refused.entry(code).or_default() += number;
        }
        self
    }
}
