//! A lab: `opencpm lab` as its own process, ended with the test.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use tempfile::TempDir;

use crate::{Client, Database, binaries, eventually, mortal};

/// What the lab writes when it is ready.
#[derive(Clone, Debug, Deserialize)]
pub struct Ready {
    /// Plain HTTP address of the API.
    pub http: String,
    /// HTTPS address of the API.
    pub https: String,
    /// The certificate authority's file.
    pub ca: PathBuf,
    /// Of the main account.
    pub secret_id: String,
    /// Of the main account.
    pub secret_key: String,
    /// Of the main account.
    pub devices: Vec<Device>,
    /// Of the main account: the ids of the simulated devices, those with a fault first.
    pub simulated: Vec<String>,
    /// Somebody else.
    pub other_account: OtherAccount,
}

/// A device of the lab.
#[derive(Clone, Debug, Deserialize)]
pub struct Device {
    /// Its id.
    pub instance_id: String,
    /// Its scratch root.
    pub root: PathBuf,
    /// Whether an agent runs for it.
    pub alive: bool,
}

/// A second account with a device of its own.
#[derive(Clone, Debug, Deserialize)]
pub struct OtherAccount {
    /// Its key.
    pub secret_id: String,
    /// Its key.
    pub secret_key: String,
    /// Its device.
    pub instance_id: String,
}

/// The ready file, in the lab's directory.
const READY: &str = "ready.json";

/// A running lab.
pub struct Lab {
    /// What it wrote when it was ready.
    pub ready: Ready,
    dir: TempDir,
    command: Command,
    child: Child,
}

impl Lab {
    /// Starts a lab with so many agents and waits until it is ready.
    pub fn start(agents: usize) -> Self {
        Self::start_with(agents, |_| {})
    }

    /// Starts a lab whose command is changed before: more options, environment, another agent.
    pub fn start_with(agents: usize, change: impl FnOnce(&mut Command)) -> Self {
        let dir = tempfile::Builder::new().prefix("lab").tempdir().expect("a scratch directory");
        let ready_file = dir.path().join(READY);
        let log = std::fs::File::create(dir.path().join("lab.log")).expect("a log");
        let mut command = mortal(binaries::opencpm());
        command.arg("lab").args(["--agents", &agents.to_string()]);
        command.arg("--dir").arg(dir.path().join("lab")).arg("--ready-file").arg(&ready_file);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        change(&mut command);
        if !command.get_args().any(|argument| argument == "--agent-binary") {
            command.arg("--agent-binary").arg(binaries::agent());
        }
        let (child, ready) = begin(&mut command, dir.path());
        Self { ready, dir, command, child }
    }

    /// Kills the lab and starts it again in its directory.
    pub fn start_again(&mut self) {
        self.child.kill().expect("the lab runs");
        self.child.wait().expect("the lab ends");
        std::fs::remove_file(self.dir.path().join(READY)).expect("it was ready");
        (self.child, self.ready) = begin(&mut self.command, self.dir.path());
    }

    /// A client of the main account.
    pub fn client(&self) -> Client {
        Client::new(&self.ready.http, &self.ready.secret_id, &self.ready.secret_key)
    }

    /// A client of the other account.
    pub fn other_client(&self) -> Client {
        let other = &self.ready.other_account;
        Client::new(&self.ready.http, &other.secret_id, &other.secret_key)
    }

    /// The ids of the devices with an agent.
    pub fn alive(&self) -> Vec<&str> {
        let alive = self.ready.devices.iter().filter(|device| device.alive);
        alive.map(|device| device.instance_id.as_str()).collect()
    }

    /// Where everything of this lab lies: its own directory, ready file and log.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// What [`Self::ready`] was read from.
    pub fn ready_file(&self) -> PathBuf {
        self.dir.path().join(READY)
    }

    /// The lab's process.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// The processes of the agents: the lab's children.
    pub fn agents(&self) -> Vec<Pid> {
        children(self.child.id())
    }

    /// The agent of one device.
    pub fn agent_of(&self, device: &Device) -> Pid {
        let root = device.root.as_os_str().as_encoded_bytes();
        let is_its = |pid: &Pid| {
            let path = format!("/proc/{}/cmdline", pid.as_raw_pid());
            let line = std::fs::read(path).unwrap_or_default();
            line.windows(root.len()).any(|window| window == root)
        };
        eventually("the device's agent", Duration::from_secs(20), || {
            self.agents().into_iter().find(is_its)
        })
    }

    /// Write access to the server's database.
    pub fn database(&self) -> Database {
        Database::below(self.dir.path())
    }

    /// Ends the lab in good order and returns what it said on standard error.
    pub fn stop(mut self) -> String {
        kill_process(self.pid(), Signal::TERM).expect("the lab runs");
        let status = self.child.wait().expect("the lab ends");
        assert!(status.success(), "the lab ended with {status}");
        std::fs::read_to_string(self.dir.path().join("lab.log")).expect("the log")
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // Gone already after `stop`; otherwise the agents go with it.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn begin(command: &mut Command, dir: &Path) -> (Child, Ready) {
    let mut child = command.spawn().expect("the lab starts");
    let ready = eventually("the lab's ready file", patience(command), || {
        if let Some(status) = child.try_wait().expect("the lab's state") {
            let log = std::fs::read_to_string(dir.join("lab.log")).unwrap_or_default();
            panic!("the lab ended with {status}: {log}");
        }
        std::fs::read(dir.join(READY)).ok()
    });
    (child, serde_json::from_slice(&ready).expect("the documented form"))
}

/// A minute, and more for simulated devices: each enrols.
fn patience(command: &Command) -> Duration {
    let mut arguments = command.get_args().skip_while(|argument| *argument != "--simulated");
    let devices = arguments.nth(1).and_then(|n| n.to_str()?.parse().ok()).unwrap_or(0_u64);
    Duration::from_secs(60 + devices / 100)
}

/// The direct children of a process, from every one of its threads.
fn children(of: u32) -> Vec<Pid> {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{of}/task")) else { return Vec::new() };
    let lists = threads
        .flatten()
        .filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    let ids = lists.flat_map(|list| {
        list.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<i32>>()
    });
    ids.filter_map(Pid::from_raw).collect()
}
