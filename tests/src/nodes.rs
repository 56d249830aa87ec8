//! Several nodes with separate roles over real PostgreSQL and RabbitMQ, each a process of its own.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use opencpm_servers::{Postgres, RabbitMq};
use tempfile::TempDir;

use crate::port::free_port;
use crate::scratch_root::Scheme;
use crate::service::{ACCOUNT, without_settings};
use crate::{Client, Machine, Process, binaries, eventually, mortal};

/// A deployment of two API nodes and two gateways, its database and its broker.
pub struct Nodes {
    /// The database.
    pub postgres: Postgres,
    /// The broker.
    pub rabbit: RabbitMq,
    /// With the deployment's keys.
    pub api: Vec<Node>,
    /// Without them.
    pub gateways: Vec<Node>,
    /// In the order in which they were asked for.
    pub machines: Vec<Machine>,
    key: (String, String),
    dir: TempDir,
}

/// `opencpm serve` with one role.
pub struct Node {
    /// The process.
    pub process: Process,
    /// Where it keeps everything.
    pub folder: PathBuf,
    http: u16,
}

/// What every node's configuration says.
struct Shared {
    database: String,
    broker: String,
    secrets: PathBuf,
    gateways: Vec<u16>,
    receptions: Vec<u16>,
    deadline: Duration,
}

impl Nodes {
    /// Starts everything, with so many machines that are connected.
    pub fn start(machines: usize) -> Self {
        let dir = tempfile::Builder::new().prefix("nodes").tempdir().expect("a directory");
        let (postgres, rabbit) = std::thread::scope(|scope| {
            let rabbit = scope.spawn(RabbitMq::start);
            (Postgres::start(), rabbit.join().expect("a broker"))
        });
        postgres.create_database("opencpm", None);
        let secret = |name: &str, text: &str| {
            std::fs::write(dir.path().join(name), text).expect("a file");
        };
        secret("store-password", postgres.password());
        secret("queue-password", rabbit.password());
        let shared = Shared {
            database: postgres.url("opencpm"),
            broker: rabbit.url(),
            secrets: dir.path().to_owned(),
            gateways: vec![free_port(), free_port()],
            receptions: vec![free_port(), free_port()],
            deadline: Duration::from_secs(30),
        };
        let first = Node::start(dir.path(), "api-1", &shared, Role::Api(0));
        let key = first.key();
        // As an operator copies them.
        let second = dir.path().join("api-2");
        std::fs::create_dir(&second).expect("a folder");
        for file in ["master.key", "root.pub"] {
            std::fs::copy(first.folder.join(file), second.join(file)).expect("a key");
        }
        let second = Node::start(dir.path(), "api-2", &shared, Role::Api(1));
        let mut nodes = Self {
            postgres,
            rabbit,
            api: vec![first, second],
            gateways: Vec::new(),
            machines: Vec::new(),
            key,
            dir,
        };
        let token = nodes.secret_file("node-token", &["node", "token", "--uses", "2"]);
        for number in 0..2 {
            let name = format!("gateway-{}", number + 1);
            let role = Role::Gateway(number, &token);
            nodes.gateways.push(Node::start(nodes.dir.path(), &name, &shared, role));
        }
        nodes.enrol(machines);
        nodes
    }

    /// A client of one of the API nodes.
    pub fn client(&self, node: usize) -> Client {
        Client::new(&self.api[node].url(), &self.key.0, &self.key.1)
    }

    /// Both halves of the administrator's key.
    pub fn key(&self) -> (&str, &str) {
        (&self.key.0, &self.key.1)
    }

    /// The devices of all machines.
    pub fn instances(&self) -> Vec<&str> {
        self.machines.iter().map(|machine| machine.instance.as_str()).collect()
    }

    /// Waits until the device is known to be connected, or not to be.
    pub fn wait_for_agent(&self, instance: &str, connected: bool) {
        let status = if connected { 1 } else { 0 };
        eventually("the agent's status", Duration::from_secs(90), || {
            let asked = [("instanceIds.0", instance)];
            let answer = self.client(0).try_call("DescribeBmAgentStatus", &asked).ok()?;
            (answer["data"]["agentList"][0]["agentStatus"] == status).then_some(())
        });
    }

    /// Runs `opencpm` as an administrator and keeps what it makes in a file.
    pub fn secret_file(&self, name: &str, arguments: &[&str]) -> PathBuf {
        let path = self.dir.path().join(name);
        let mut command = Command::new(binaries::opencpm());
        without_settings(&mut command);
        command.arg("--endpoint").arg(self.api[0].url());
        command.arg("--profile").arg(self.api[0].folder.join("admin.toml")).args(arguments);
        let output = command.arg("--out").arg(&path).output().expect("opencpm");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        path
    }

    /// What everybody said.
    pub fn said(&self) -> String {
        let nodes = self.api.iter().chain(&self.gateways).map(|node| &node.process);
        nodes.chain(self.machines.iter().map(|machine| &machine.agent)).map(Process::said).collect()
    }

    fn enrol(&mut self, machines: usize) {
        let (account, uses) = (ACCOUNT.to_string(), machines.max(1).to_string());
        let asked = ["enrol-token", "create", "--app-id", &account, "--uses", &uses];
        let token = self.secret_file("enrol-token", &asked);
        for number in 0..machines {
            let machine = Machine::enrol(self.dir.path(), number, Scheme::Sha512, &token);
            self.machines.push(machine);
        }
        for machine in &self.machines {
            self.wait_for_agent(&machine.instance, true);
        }
    }
}

enum Role<'a> {
    Api(usize),
    Gateway(usize, &'a Path),
}

impl Node {
    fn start(dir: &Path, name: &str, shared: &Shared, role: Role<'_>) -> Self {
        let folder = dir.join(name);
        let http = free_port();
        let addresses = |host: &str, ports: &[u16]| {
            let all: Vec<_> = ports.iter().map(|port| format!("\"{host}:{port}\"")).collect();
            all.join(", ")
        };
        let mut text = format!(
            "dir = {folder:?}\n[store]\nurl = {:?}\npassword_file = {:?}\n[queue]\nurl = {:?}\n\
             password_file = {:?}\n[agents]\naddresses = [{}]\n",
            shared.database,
            shared.secrets.join("store-password"),
            shared.broker,
            shared.secrets.join("queue-password"),
            addresses("127.0.0.1", &shared.gateways),
        );
        let roles = match role {
            Role::Api(number) => {
                let https = free_port();
                write!(
                    text,
                    "listen = \"127.0.0.1:{}\"\nenrolment = [{}]\n[api]\nnames = [\"localhost\"]\n\
                     listen = \"127.0.0.1:{https}\"\nhttp = \"127.0.0.1:{http}\"\n\
                     job_deadline = {}\n[first]\napp_id = {ACCOUNT}\n",
                    shared.receptions[number],
                    addresses("localhost", &shared.receptions),
                    shared.deadline.as_secs(),
                )
                .expect("a string takes any text");
                "api"
            }
            Role::Gateway(number, token) => {
                let port = shared.gateways[number];
                write!(text, "listen = \"127.0.0.1:{port}\"\n[node]\ntoken_file = {token:?}\n")
                    .expect("a string takes any text");
                "gateway"
            }
        };
        let configuration = dir.join(format!("{name}.toml"));
        std::fs::write(&configuration, text).expect("a configuration");
        let process = Process::start(dir.join(format!("{name}.log")), move || {
            let mut command = mortal(binaries::opencpm());
            without_settings(&mut command);
            command.args(["serve", "--roles", roles, "--config"]).arg(&configuration);
            command
        });
        let mut node = Self { process, folder, http };
        node.serves();
        node
    }

    /// Waits until it says that it serves.
    pub fn serves(&mut self) {
        eventually("a node", Duration::from_secs(60), || {
            assert!(self.process.is_running(), "a node ended: {}", self.process.said());
            self.process.said().contains("serving").then_some(())
        });
    }

    /// The address of its API over plain HTTP.
    pub fn url(&self) -> String {
        format!("http://{}", self.authority())
    }

    /// Host and port of that.
    pub fn authority(&self) -> String {
        format!("127.0.0.1:{}", self.http)
    }

    fn key(&self) -> (String, String) {
        crate::service::key_in(&self.folder.join("admin.toml"))
    }
}
