//! Several nodes with separate roles over real PostgreSQL and RabbitMQ, each a process of its own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use opencpm_servers::{Postgres, RabbitMq};
use tempfile::TempDir;

use crate::cluster::{Deployment, Disk, Node, Servers, install, make_secret, plans};
use crate::scratch_root::Scheme;
use crate::service::{ACCOUNT, without_settings};
use crate::{Client, Machine, Process, binaries, eventually};

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

/// What a node gives its load balancer, as the shipped configuration wants it.
const NOTICE: Duration = Duration::from_secs(4);

/// What is special about one deployment.
#[derive(Clone, Copy, Default)]
pub struct NodesOptions<'a> {
    /// Where its database keeps its files; a scratch folder unless given.
    pub disk: Option<&'a Disk>,
    /// What nodes run, of an earlier version perhaps; what is tested unless given.
    pub binary: Option<&'a Path>,
    /// Lines for postgresql.conf.
    pub postgres: &'a [(&'a str, &'a str)],
    /// What nodes and agents log, in the form of `RUST_LOG`; the usual unless given.
    pub log: Option<&'static str>,
}

/// From acceptance to the end of a job.
const DEADLINE: Duration = Duration::from_secs(30);

impl Nodes {
    /// Starts everything, with so many machines that are connected.
    pub fn start(machines: usize) -> Self {
        Self::start_with(machines, NodesOptions::default())
    }

    /// The same, with options.
    pub fn start_with(machines: usize, options: NodesOptions<'_>) -> Self {
        let dir = tempfile::Builder::new().prefix("nodes").tempdir().expect("a directory");
        let servers = Servers::start(dir.path(), options.disk, options.postgres);
        let mut api = Deployment {
            dir: dir.path(),
            folder: dir.path(),
            deadline: DEADLINE,
            servers: Some(&servers),
            plans: &plans(2, 2),
            token: None,
            notice: NOTICE,
            binary: &options.binary.map_or_else(binaries::opencpm, Path::to_owned),
            log: options.log,
        }
        .start_all();
        let gateways = api.split_off(2);
        let key = api[0].key();
        let Servers { postgres, rabbit, .. } = servers;
        let mut nodes = Self { postgres, rabbit, api, gateways, machines: Vec::new(), key, dir };
        nodes.enrol(machines, options.log);
        nodes
    }

    /// Brings the schema up to date, and has nodes run this program from their next start on: what
    /// an operator does before nodes are restarted.
    pub fn upgrade(&self, binary: &Path) {
        let mut migrate = Command::new(binary);
        without_settings(&mut migrate);
        migrate.args(["migrate", "--yes", "--config"]).arg(self.dir.path().join("api-1.toml"));
        let output = migrate.output().expect("opencpm");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        install(binary, self.dir.path());
    }

    /// A client of one of the API nodes.
    pub fn client(&self, node: usize) -> Client {
        self.api[node].client(&self.key)
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
        make_secret(&self.api[0], arguments, &path);
        path
    }

    /// Where everything of the nodes and machines lies.
    pub fn folder(&self) -> &Path {
        self.dir.path()
    }

    /// What everybody said.
    pub fn said(&self) -> String {
        let nodes = self.api.iter().chain(&self.gateways).map(|node| &node.process);
        nodes.chain(self.machines.iter().map(|machine| &machine.agent)).map(Process::said).collect()
    }

    fn enrol(&mut self, machines: usize, log: Option<&'static str>) {
        let (account, uses) = (ACCOUNT.to_string(), machines.max(1).to_string());
        let asked = ["enrol-token", "create", "--app-id", &account, "--uses", &uses];
        let token = self.secret_file("enrol-token", &asked);
        for number in 0..machines {
            let scheme = Scheme::Sha512;
            let machine = Machine::enrol_logging(self.dir.path(), number, scheme, &token, log);
            self.machines.push(machine);
        }
        for machine in &self.machines {
            self.wait_for_agent(&machine.instance, true);
        }
    }
}
