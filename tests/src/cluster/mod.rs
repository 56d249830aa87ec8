//! A cluster of real processes: nodes, the engines that they use, the links between all of them,
//! and machines with agents. Each part can be taken away and given back.

mod clock;
mod disk;
mod link;
mod machine;
mod node;
mod observer;
mod servers;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use opencpm_protocol::token::EnrolmentToken;
use tempfile::TempDir;

pub use disk::Disk;
pub use link::{Condition, Link};
pub use machine::{Machine, Running};
pub use node::Node;
pub(crate) use node::{Deployment, install};
pub use observer::{Observer, Seen, Sighting};
pub use servers::{DATABASE, Servers};

use crate::binaries;
use crate::service::{ACCOUNT, without_settings};
use node::{Plan, Role};

/// What a cluster consists of.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Its nodes and their engines.
    pub nodes: Form,
    /// Machines whose agent is a process.
    pub processes: usize,
    /// Machines whose agent is a thread of the test.
    pub threads: usize,
    /// Threads wait no longer between two connections; processes wait as long as they like.
    pub patience: Duration,
    /// From acceptance to the end of a job.
    pub deadline: Duration,
}

/// The nodes of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One that does everything, with the embedded engines.
    Embedded,
    /// So many of each role, over PostgreSQL and RabbitMQ.
    Servers {
        /// With the deployment's keys.
        api: usize,
        /// Without them.
        gateways: usize,
    },
}

/// A running cluster; everything ends with it.
pub struct Cluster {
    /// Those that clients ask come first.
    pub nodes: Vec<Node>,
    /// None with the embedded engines.
    pub servers: Option<Servers>,
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
        let disk = Disk::mount(&path.join("store"), DISK);
        let (plans, servers) = match shape.nodes {
            Form::Embedded => (vec![Plan::new("node-1", Role::Everything)], None),
            Form::Servers { api, gateways } => {
                (plans(api, gateways), Some(Servers::start(&path, disk.as_ref(), &[])))
            }
        };
        let folder = match (&servers, &disk) {
            (None, Some(disk)) => disk.path(),
            _ => &path,
        };
        let nodes = Deployment {
            dir: &path,
            folder,
            deadline: shape.deadline,
            servers: servers.as_ref(),
            plans: &plans,
            token: None,
            notice: Duration::ZERO,
            binary: &binaries::opencpm(),
            log: None,
        }
        .start_all();
        let machines = enrol(&path, &nodes[0], shape.processes + shape.threads);
        let bell = path.join("bell");
        std::fs::create_dir(&bell).expect("a folder");
        let roots: Vec<_> = machines.iter().map(|machine| machine.root().to_owned()).collect();
        let observer = Arc::new(Observer::watch(&roots, &bell));
        let begin = |(number, machine): (usize, machine::Enrolled)| match number < shape.processes {
            true => machine.start_process(),
            false => machine.start_thread(shape.patience),
        };
        let machines = machines.into_iter().enumerate().map(begin).collect();
        let key = nodes[0].key();
        Self { nodes, servers, machines, observer, disk, key, dir }
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
        if let Some(servers) = &mut self.servers {
            servers.postgres.tend();
            servers.rabbit.tend();
        }
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
        clock::tidy_up();
    }
}

/// A folder in memory where there is one: hundreds of machines sync their files, and on one disk
/// they would wait for each other. A process that is killed loses nothing there either.
fn scratch() -> TempDir {
    let memory = Path::new("/dev/shm");
    let place = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    // PostgreSQL, which is another user, has its disk below.
    let passable = std::fs::Permissions::from_mode(0o711);
    let mut builder = tempfile::Builder::new();
    builder.prefix("cluster").permissions(passable).tempdir_in(place).expect("a directory")
}

/// So many nodes of each role, those with the deployment's keys first.
pub(crate) fn plans(api: usize, gateways: usize) -> Vec<Plan> {
    let api = (1..=api).map(|number| Plan::new(&format!("api-{number}"), Role::Api));
    let gateways =
        (1..=gateways).map(|number| Plan::new(&format!("gateway-{number}"), Role::Gateway));
    api.chain(gateways).collect()
}

/// Runs `opencpm` as an administrator at a node, and keeps what it makes in a file.
pub(crate) fn make_secret(node: &Node, arguments: &[&str], file: &Path) {
    let mut command = Command::new(binaries::opencpm());
    without_settings(&mut command);
    command.arg("--endpoint").arg(node.url()).arg("--profile").arg(node.profile());
    let output = command.args(arguments).arg("--out").arg(file).output().expect("opencpm");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// How many enrol at once.
const HANDS: usize = 8;

fn enrol(dir: &Path, node: &Node, number: usize) -> Vec<machine::Enrolled> {
    let file = dir.join("enrolment-token");
    let (account, uses) = (ACCOUNT.to_string(), number.to_string());
    make_secret(node, &["enrol-token", "create", "--app-id", &account, "--uses", &uses], &file);
    let token = std::fs::read_to_string(&file).expect("a token");
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
