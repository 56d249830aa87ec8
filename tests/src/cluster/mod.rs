//! A cluster of real processes: nodes, the engines that they use, the links between all of them,
//! and machines with agents. Each part can be taken away and given back.

mod disk;
mod link;
mod machine;
mod node;
mod observer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use opencpm_protocol::token::EnrolmentToken;
use tempfile::TempDir;

pub use disk::Disk;
pub use link::{Condition, Link};
pub use machine::{Machine, Running};
pub use node::Node;
pub use observer::{Observer, Seen, Sighting};

use crate::service::{enrolment_token, key_in};
use crate::{Client, eventually};

/// What a cluster consists of.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Machines whose agent is a process.
    pub processes: usize,
    /// Machines whose agent is a thread of the test.
    pub threads: usize,
    /// From acceptance to the end of a job.
    pub deadline: Duration,
}

/// A running cluster; everything ends with it.
pub struct Cluster {
    /// The server's.
    pub nodes: Vec<Node>,
    /// In the order of [`Observer::seen`]: those with a process first.
    pub machines: Vec<Machine>,
    /// What became of the machines' shadow files.
    pub observer: Arc<Observer>,
    /// Holds the store's files; none where file systems cannot be mounted.
    pub disk: Option<Disk>,
    /// Both halves of the administrator's key.
    pub key: (String, String),
    dir: TempDir,
}

/// MiB: many times what the store needs.
const DISK: u32 = 512;

impl Cluster {
    /// Starts everything and returns when every machine is enrolled; the agents may still be
    /// connecting.
    pub fn start(shape: &Shape) -> Self {
        let dir = scratch();
        let path = dir.path().to_owned();
        let store = path.join("store");
        let disk = Disk::mount(&store, DISK);
        let mut node = Node::start("node-1", &path, &store.join("opencpm"), shape.deadline);
        let key = answers(&mut node);
        let machines = enrol(&path, &node, shape.processes + shape.threads);
        let bell = path.join("bell");
        std::fs::create_dir(&bell).expect("a folder");
        let roots: Vec<_> = machines.iter().map(|machine| machine.root().to_owned()).collect();
        let observer = Arc::new(Observer::watch(&roots, &bell));
        let begin = |(number, machine): (usize, machine::Enrolled)| {
            if number < shape.processes { machine.start_process() } else { machine.start_thread() }
        };
        let machines = machines.into_iter().enumerate().map(begin).collect();
        Self { nodes: vec![node], machines, observer, disk, key, dir }
    }

    /// Where everything of it lies.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Keeps its folder, with all logs, after its end.
    pub fn keep(&mut self) {
        self.dir.disable_cleanup(true);
    }

    /// Starts again what has ended, as a service manager would.
    pub fn tend(&mut self) {
        self.nodes.iter_mut().for_each(|node| node.process.tend());
        for machine in &mut self.machines {
            if let Running::Process(agent) = &mut machine.agent {
                agent.tend();
            }
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.nodes.clear();
        node::tidy_up_clocks();
    }
}

/// A folder in memory where there is one: hundreds of machines sync their files, and on one disk
/// they would wait for each other. A process that is killed loses nothing there either.
fn scratch() -> TempDir {
    let memory = Path::new("/dev/shm");
    let place = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    tempfile::Builder::new().prefix("cluster").tempdir_in(place).expect("a directory")
}

/// Waits until a node answers its administrator, and returns the key.
fn answers(node: &mut Node) -> (String, String) {
    let http = format!("http://{}", node.door.authority());
    eventually("a node", Duration::from_secs(60), || {
        assert!(node.process.is_running(), "{} has ended: {}", node.name, node.process.said());
        let key = node.profile().exists().then(|| key_in(&node.profile()))?;
        let answer = Client::new(&http, &key.0, &key.1).try_call("DescribeDevice", &[]).ok()?;
        (answer["code"] == 0).then_some(key)
    })
}

/// How many enrol at once.
const HANDS: usize = 8;

fn enrol(dir: &Path, node: &Node, number: usize) -> Vec<machine::Enrolled> {
    let http = format!("http://{}", node.door.authority());
    let token = enrolment_token(&http, &node.profile(), number);
    let token = EnrolmentToken::parse(&token).expect("a token of the server's own");
    let roots: Vec<(usize, PathBuf)> =
        (0..number).map(|n| (n, dir.join("machines").join(format!("{n:03}")))).collect();
    let share = number.div_ceil(HANDS).max(1);
    std::thread::scope(|scope| {
        let token = &token;
        let hand = |roots: &[(usize, PathBuf)]| {
            let roots = roots.to_owned();
            let one = |(n, root)| machine::Enrolled::new(root, n, token);
            scope.spawn(move || roots.into_iter().map(one).collect::<Vec<_>>())
        };
        let hands: Vec<_> = roots.chunks(share).map(hand).collect();
        hands.into_iter().flat_map(|hand| hand.join().expect("enrolments")).collect()
    })
}
