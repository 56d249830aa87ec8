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

use opencpm_tests::cluster::{Cluster, Condition, Form, Shape};
use opencpm_tests::{Client, Dice, Until, eventually};
use serde_json::Value;

/// Unless the environment says otherwise (`AGENTS`).
const AGENTS: usize = 2_000;

/// How long the network is away.
const AWAY: Duration = Duration::from_secs(30);

/// Nothing may take longer.
const PATIENCE: Duration = Duration::from_secs(600);

/// Between two calls of one client.
const PAUSE: Duration = Duration::from_millis(10);

const HEAD: &str = "what | seconds until 50 % | 99 % | all | calls answered a second | refused | \
                    slowest ms | peak MiB of the API nodes | of the gateways";

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
    storm.wait_for(agents);
    println!("{agents} agents, connected\n{HEAD}");
    storm.during("nothing", || {
        pass(Duration::from_secs(10));
        Instant::now()
    });
    storm.during("the network comes back", || {
        storm.set_gates(Condition::Cut);
        pass(AWAY);
        storm.set_gates(Condition::Good);
        Instant::now()
    });
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

    /// Does something, and waits until every agent is connected again, while clients ask. What it
    /// does returns when the time begins.
    fn during(&self, what: &str, work: impl FnOnce() -> Instant) {
        self.cluster.borrow().nodes.iter().for_each(|node| {
            // Resets the peak: proc_pid_clear_refs(5).
            fs::write(format!("/proc/{}/clear_refs", node.process.id()), "5").expect("our own");
        });
        let over = AtomicBool::new(false);
        let machines = |cluster: &Cluster| {
            cluster.machines.iter().map(|it| it.instance.clone()).collect::<Vec<_>>()
        };
        let instances = machines(&self.cluster.borrow());
        let (took, times, met) = thread::scope(|scope| {
            let (over, instances) = (&over, &instances);
            let clients = [0, 1].map(|number| {
                let client = self.client(number);
                scope.spawn(move || ask(&client, instances, Dice::new(number as u64), over))
            });
            let until = Until(over);
            let asked = Instant::now();
            let begin = work();
            let half = self.agents / 2;
            let times = [half, self.agents * 99 / 100, self.agents].map(|number| {
                self.wait_for(number);
                begin.elapsed()
            });
            drop(until);
            let took = asked.elapsed();
            let met = clients.into_iter().map(|client| client.join().expect("a client"));
            (took, times, met.fold(Met::default(), Met::and))
        });
        let [half, most, all] = times.map(|time| time.as_secs_f64());
        let slowest = met.answered.iter().max().copied().unwrap_or_default();
        println!(
            "{what} | {half:.1} | {most:.1} | {all:.1} | {:.0} | {:?} | {:.0} | {:?} | {:?}",
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

    /// Waits until so many agents are connected.
    fn wait_for(&self, number: usize) {
        let client = self.client(0);
        eventually("agents that come back", PATIENCE, || {
            let pages = (0..self.agents).step_by(1_000).map(|offset| offset.to_string());
            let connected = pages.map(|offset| {
                let page = [("offset", offset.as_str()), ("limit", "1000")];
                let answer = client.try_call("DescribeBmAgentStatus", &page).unwrap_or_default();
                let list = answer["data"]["agentList"].as_array().cloned().unwrap_or_default();
                list.iter().filter(|agent| agent["agentStatus"] == 1).count()
            });
            let enough = connected.sum::<usize>() >= number;
            if !enough {
                thread::park_timeout(Duration::from_millis(200));
            }
            enough.then_some(())
        });
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
