//! A node of the server: `opencpm serve` as a process of its own.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;

use super::clock::OwnClock;
use super::link::Link;
use super::make_secret;
use super::servers::Servers;
use crate::port::free_port;
use crate::service::{ACCOUNT, key_in, without_settings};
use crate::{Client, Process, eventually, mortal};

/// A node and the links from and to it.
pub struct Node {
    /// For logs: `api-1`.
    pub name: String,
    /// `opencpm serve`.
    pub process: Process,
    /// From clients to its API, over plain HTTP; a gateway has none.
    pub door: Option<Link>,
    /// From agents to it. An API node without the gateway's role takes enrolments there.
    pub gate: Link,
    /// From it to PostgreSQL; none where the store is embedded.
    pub store: Option<Link>,
    /// From it to RabbitMQ; none where the queue is embedded.
    pub broker: Option<Link>,
    /// Of its listeners: the API over TLS and plain HTTP, agents, and health.
    ports: [u16; 4],
    /// Where it keeps everything.
    pub folder: PathBuf,
    clock: Option<OwnClock>,
}

/// What a node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// API and gateway.
    Everything,
    /// It has the deployment's keys.
    Api,
    /// It has none of them.
    Gateway,
}

/// A node that is to be started: what others must know of it before.
pub(crate) struct Plan {
    name: String,
    role: Role,
    /// Of its listeners: the API over TLS and plain HTTP, agents, and health.
    ports: [u16; 4],
    door: Option<Link>,
    gate: Link,
}

/// What all nodes of a deployment are told.
#[derive(Clone, Copy)]
pub(crate) struct Deployment<'a> {
    /// Where configurations and logs are.
    pub(crate) dir: &'a Path,
    /// Below it everybody keeps everything.
    pub(crate) folder: &'a Path,
    /// From acceptance to the end of a job.
    pub(crate) deadline: Duration,
    /// From being told to end until listeners close.
    pub(crate) notice: Duration,
    /// None with the embedded engines.
    pub(crate) servers: Option<&'a Servers>,
    /// All nodes.
    pub(crate) plans: &'a [Plan],
    /// With which a gateway joins.
    pub(crate) token: Option<&'a Path>,
    /// What nodes run at first.
    pub(crate) binary: &'a Path,
    /// What they log, in the form of `RUST_LOG`; the usual unless given.
    pub(crate) log: Option<&'static str>,
}

impl Plan {
    /// Chooses its ports.
    pub(super) fn new(name: &str, role: Role) -> Self {
        let ports = [(); 4].map(|()| free_port());
        let door = (role != Role::Gateway).then(|| Link::to(ports[1]));
        Self { name: name.to_owned(), role, ports, door, gate: Link::to(ports[2]) }
    }

    /// Where it keeps everything, below the deployment's folder.
    pub(super) fn folder(&self, all: &Path) -> PathBuf {
        all.join(&self.name)
    }
}

impl Deployment<'_> {
    /// Starts all nodes: those with the deployment's keys, then those that join.
    pub(crate) fn start_all(&self) -> Vec<Node> {
        install(self.binary, self.dir);
        let mut nodes = vec![self.start(0)];
        let gateways = self.plans.iter().filter(|plan| plan.role == Role::Gateway).count();
        let api = self.plans.len() - gateways;
        for number in 1..api {
            nodes[0].share_keys(&self.plans[number].folder(self.folder));
            nodes.push(self.start(number));
        }
        if gateways > 0 {
            let token = self.dir.join("node-token");
            make_secret(&nodes[0], &["node", "token", "--uses", &gateways.to_string()], &token);
            let joining = Deployment { token: Some(&token), ..*self };
            nodes.extend((api..self.plans.len()).map(|number| joining.start(number)));
        }
        nodes
    }

    /// Starts the node with this place in the plan, and waits until it serves.
    fn start(&self, number: usize) -> Node {
        let plan = &self.plans[number];
        let link = |port: fn(&Servers) -> u16| self.servers.map(|servers| Link::to(port(servers)));
        let [store, broker] =
            [link(|servers| servers.postgres.port()), link(|servers| servers.rabbit.port())];
        let folder = plan.folder(self.folder);
        let mut text = self.common(plan, &folder);
        if let (Some(servers), Some(store), Some(broker)) = (self.servers, &store, &broker) {
            text.push_str(&servers.settings(&store.authority(), &broker.authority()));
        }
        let configuration = self.dir.join(format!("{}.toml", plan.name));
        std::fs::write(&configuration, text).expect("a configuration");
        let clock = OwnClock::new(self.dir.join(format!("{}.clock", plan.name)));
        let log = self.dir.join(format!("{}.log", plan.name));
        let process = {
            let (clock, program, filter) = (clock.clone(), program(self.dir), self.log);
            Process::start(log, move || {
                let mut command = mortal(&program);
                without_settings(&mut command);
                command.envs(filter.map(|filter| ("RUST_LOG", filter)));
                command.arg("serve").arg("--config").arg(&configuration);
                clock.iter().for_each(|clock| clock.give(&mut command));
                command
            })
        };
        let (name, door, gate) = (plan.name.clone(), plan.door.clone(), plan.gate.clone());
        let mut node =
            Node { name, process, door, gate, store, broker, ports: plan.ports, folder, clock };
        node.serves();
        node
    }

    fn common(&self, plan: &Plan, folder: &Path) -> String {
        let [https, http, agents, metrics] = plan.ports;
        let mut text = format!(
            "dir = {folder:?}\n[agents]\nlisten = \"127.0.0.1:{agents}\"\naddresses = [{}]\n",
            self.addresses("127.0.0.1", |role| role != Role::Api),
        );
        // A node that joins may not show a certificate with the API's name.
        let (roles, name) = match plan.role {
            Role::Everything => ("\"api\", \"gateway\"", "127.0.0.1"),
            Role::Api => ("\"api\"", "localhost"),
            Role::Gateway => ("\"gateway\"", ""),
        };
        if plan.role == Role::Api {
            let receptions = self.addresses(name, |role| role == Role::Api);
            writeln!(text, "enrolment = [{receptions}]").expect("a string takes any text");
        }
        if plan.role != Role::Gateway {
            write!(
                text,
                "[api]\nnames = [\"{name}\"]\nlisten = \"127.0.0.1:{https}\"\n\
                 http = \"127.0.0.1:{http}\"\njob_deadline = {}\n[first]\napp_id = {ACCOUNT}\n",
                self.deadline.as_secs(),
            )
            .expect("a string takes any text");
        } else if let Some(token) = self.token {
            write!(text, "[node]\ntoken_file = {token:?}\n").expect("a string takes any text");
        }
        format!(
            "roles = [{roles}]\n{text}[metrics]\nlisten = \"127.0.0.1:{metrics}\"\nnotice = {}\n",
            self.notice.as_secs(),
        )
    }

    /// The gates of those with a role, as a list in the configuration.
    fn addresses(&self, host: &str, of: fn(Role) -> bool) -> String {
        let plans = self.plans.iter().filter(|plan| of(plan.role));
        let all: Vec<_> = plans.map(|plan| format!("\"{host}:{}\"", plan.gate.port())).collect();
        all.join(", ")
    }
}

/// What nodes run, as a package's upgrade replaces it below them.
fn program(dir: &Path) -> PathBuf {
    dir.join("opencpm")
}

/// Has nodes run this program from their next start on.
pub(crate) fn install(binary: &Path, dir: &Path) {
    let draft = dir.join("opencpm.new");
    std::os::unix::fs::symlink(binary, &draft).expect("our own folder");
    std::fs::rename(draft, program(dir)).expect("our own folder");
}

impl Node {
    /// Waits until it says that it serves. Panics when it ends instead.
    pub fn serves(&mut self) {
        eventually("a node", Duration::from_secs(60), || {
            assert!(self.process.is_running(), "{} ended: {}", self.name, self.process.said());
            self.process.said().contains("serving").then_some(())
        });
    }

    /// Asks it to end, waits until it has, and returns when it serves again.
    pub fn restart(&mut self) {
        let starts = self.starts();
        self.process.signal(Signal::TERM);
        self.process.ended();
        self.process.tend();
        eventually("a node that was restarted", Duration::from_secs(60), || {
            assert!(self.process.is_running(), "{} ended: {}", self.name, self.process.said());
            (self.starts() > starts).then_some(())
        });
    }

    fn starts(&self) -> usize {
        self.process.said().matches("serving").count()
    }

    /// Where it listens for clients, plain HTTP, for agents, and for who asks how it is, without
    /// the links: who comes there notices at once that it is gone.
    pub fn listeners(&self) -> [String; 3] {
        let [_, http, agents, metrics] = self.ports;
        [http, agents, metrics].map(|port| format!("127.0.0.1:{port}"))
    }

    /// Host and port of its API. Panics at a gateway's, which has none.
    pub fn authority(&self) -> String {
        self.door.as_ref().expect("an API").authority()
    }

    /// The address of its API over plain HTTP.
    pub fn url(&self) -> String {
        format!("http://{}", self.authority())
    }

    /// The address of its API over TLS, by the name that an API node of several has.
    pub fn https(&self) -> String {
        format!("https://localhost:{}", self.ports[0])
    }

    /// A client of it with this key.
    pub fn client(&self, (secret_id, secret_key): &(String, String)) -> Client {
        Client::new(&self.url(), secret_id, secret_key)
    }

    /// Whether its clock can be moved here.
    pub fn has_own_clock(&self) -> bool {
        self.clock.is_some()
    }

    /// Moves its clock to so many seconds from the machine's.
    pub fn move_clock(&self, seconds: i64) {
        self.clock.as_ref().expect("a clock of its own").set(seconds);
    }

    /// Copies the deployment's keys to another node's folder, as an operator does.
    pub(super) fn share_keys(&self, folder: &Path) {
        std::fs::create_dir(folder).expect("a folder");
        for file in ["master.key", "root.pub"] {
            std::fs::copy(self.folder.join(file), folder.join(file)).expect("a key");
        }
    }

    /// The administrator's profile that its first start wrote.
    pub(super) fn profile(&self) -> PathBuf {
        self.folder.join("admin.toml")
    }

    /// Both halves of the administrator's key.
    pub(crate) fn key(&self) -> (String, String) {
        key_in(&self.profile())
    }
}
