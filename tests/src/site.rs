//! A site: `opencpm serve` and agents, each a process of its own on fixed ports and scratch roots,
//! to be killed and started again one by one.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::scratch_root::{self, Scheme};
use crate::{
    Client, Database, Process, Service, binaries, eventually, mortal, root_hash, verifies,
};

/// A server, some machines, and a client that asks.
pub struct Site {
    /// The server.
    pub service: Service,
    /// In the order in which they were asked for.
    pub machines: Vec<Machine>,
    /// Of the first account; it asks over plain HTTP.
    pub client: Client,
    _dir: TempDir,
}

/// A scratch root and its agent.
pub struct Machine {
    /// Its device.
    pub instance: String,
    /// Its file system.
    pub root: PathBuf,
    /// What it hashes with.
    pub scheme: Scheme,
    /// `opencpm-agent run`, built with the feature `fault-points`.
    pub agent: Process,
    fault_file: PathBuf,
}

impl Site {
    /// From acceptance to the end of a job. An agent does nothing in its last ten seconds.
    pub const DEADLINE: Duration = Duration::from_secs(20);

    /// A task has ended so long after it was accepted: the deadline and the five seconds that the
    /// design allows.
    pub const LONGEST: Duration = Duration::from_secs(25);

    /// Starts a server and a machine for each scheme; all of them are connected.
    pub fn start(schemes: &[Scheme]) -> Self {
        Self::around(Service::start_with_deadline("127.0.0.1", Self::DEADLINE), schemes)
    }

    /// The same with a server that runs.
    pub fn around(service: Service, schemes: &[Scheme]) -> Self {
        let dir = tempfile::Builder::new().prefix("site").tempdir().expect("a scratch directory");
        let token = dir.path().join("token");
        std::fs::write(&token, service.enrolment_token(schemes.len())).expect("a file");
        let enrol = |(number, scheme)| Machine::enrol(dir.path(), number, scheme, &token);
        let machines = schemes.iter().copied().enumerate().map(enrol).collect();
        let client = service.client();
        let mut site = Self { service, machines, client, _dir: dir };
        site.connected();
        site
    }

    /// Starts again what died, as a service manager would.
    pub fn tend(&mut self) {
        self.service.process.tend();
        self.machines.iter_mut().for_each(|machine| machine.agent.tend());
    }

    /// Waits for something while everybody who dies is started again. Panics with `what` and with
    /// what the processes said when it has not come after the time.
    pub fn eventually<T>(
        &mut self,
        what: &str,
        limit: Duration,
        mut look: impl FnMut(&mut Self) -> Option<T>,
    ) -> T {
        let start = Instant::now();
        eventually(what, limit + Duration::from_secs(1), || {
            self.tend();
            let found = look(self);
            assert!(
                found.is_some() || start.elapsed() < limit,
                "{what}: not within {limit:?}\n{}",
                self.said()
            );
            found
        })
    }

    /// Waits until every agent is known to be connected.
    pub fn connected(&mut self) {
        self.eventually("all agents are connected", Duration::from_secs(60), |site| {
            let alive = |machine: &Machine| {
                let asked = [("instanceIds.0", machine.instance.as_str())];
                let answer = site.client.try_call("DescribeBmAgentStatus", &asked).ok()?;
                (answer["data"]["agentList"][0]["agentStatus"] == 1).then_some(())
            };
            site.machines.iter().map(alive).collect::<Option<()>>()
        });
    }

    /// The devices of all machines.
    pub fn instances(&self) -> Vec<&str> {
        self.machines.iter().map(|machine| machine.instance.as_str()).collect()
    }

    /// Asks for a reset of all machines until it is accepted.
    pub fn accepted(&mut self, password: &str) -> u64 {
        self.eventually("a task is accepted", Duration::from_secs(30), |site| {
            site.client.try_reset(&site.instances(), password).ok()?.ok()
        })
    }

    /// The `data` of a task that exists. Fails while the server is away.
    pub fn task(&self, task: u64) -> io::Result<Value> {
        let id = task.to_string();
        let answer = self.client.try_call("DescriptionOperationResult", &[("taskId", &id)])?;
        assert_eq!(answer["code"], 0, "an accepted task is lost: {answer}\n{}", self.said());
        Ok(answer["data"].clone())
    }

    /// Waits for the end of a task that was accepted at this time; it may not take longer than
    /// [`Self::LONGEST`].
    pub fn ended(&mut self, task: u64, accepted: Instant) -> Value {
        let limit = Self::LONGEST.saturating_sub(accepted.elapsed());
        self.eventually("the task's end", limit, |site| {
            let data = site.task(task).ok()?;
            (data["status"].as_u64().expect("a status") & 4 == 0).then_some(data)
        })
    }

    /// The newest tasks of a machine, newest first: id and status. Fails while the server is away.
    pub fn log(&self, machine: &Machine) -> io::Result<Vec<(u64, String)>> {
        let asked = [("instanceId", machine.instance.as_str()), ("limit", "100")];
        let answer = self.client.try_call("DescribeDeviceOperationLog", &asked)?;
        let entry = |entry: &Value| {
            let id = entry["taskId"].as_str()?.parse().ok()?;
            Some((id, entry["status"].as_str()?.to_owned()))
        };
        let entries = answer["data"]["logs"].as_array().expect("a log");
        Ok(entries.iter().map(|e| entry(e).expect("the documented form")).collect())
    }

    /// The server's database.
    pub fn database(&self) -> Database {
        Database::below(&self.service.folder())
    }

    /// What everybody said.
    pub fn said(&self) -> String {
        let agents = self.machines.iter().map(|machine| &machine.agent);
        std::iter::once(&self.service.process).chain(agents).map(Process::said).collect()
    }
}

impl Machine {
    /// Lays a machine out, enrols it and starts its agent.
    pub(crate) fn enrol(dir: &Path, number: usize, scheme: Scheme, token: &Path) -> Self {
        Self::enrol_logging(dir, number, scheme, token, None)
    }

    /// The same; the agent logs what this filter says.
    pub(crate) fn enrol_logging(
        dir: &Path,
        number: usize,
        scheme: Scheme,
        token: &Path,
        log: Option<&'static str>,
    ) -> Self {
        let root = dir.join(format!("machine-{number}"));
        scratch_root::lay_out(&root, scheme, number);
        let instance = enrolled(&root, token);
        let fault_file = dir.join(format!("fault-{number}"));
        let agent = {
            let (root, fault_file) = (root.clone(), fault_file.clone());
            Process::start(dir.join(format!("machine-{number}.log")), move || {
                let mut agent = mortal(binaries::agent_with_faults());
                agent.arg("--root").arg(&root).arg("run").env("OPENCPM_FAULT_FILE", &fault_file);
                agent.envs(log.map(|log| ("RUST_LOG", log)));
                agent
            })
        };
        Self { instance, root, scheme, agent, fault_file }
    }

    /// The agent will die as soon as it reaches this point, once.
    pub fn will_die_at(&self, point: &str) {
        // In one step: the agent may look at any time.
        let draft = self.fault_file.with_extension("draft");
        std::fs::write(&draft, point).expect("a scratch file");
        std::fs::rename(draft, &self.fault_file).expect("a scratch file");
    }

    /// Waits until the agent has died at the point that was asked for.
    pub fn died(&mut self) {
        eventually("the agent's death", Duration::from_secs(10), || {
            (!self.agent.is_running()).then_some(())
        });
        assert!(!self.fault_file.exists(), "it died elsewhere: {}", self.agent.said());
    }

    /// Root's hash, as it is on disk.
    pub fn root_hash(&self) -> String {
        root_hash(&self.root)
    }

    /// Whether root can log in with this password.
    pub fn has(&self, password: &str) -> bool {
        verifies(&self.root_hash(), password)
    }
}

/// Makes the system below this root a device and returns its id.
fn enrolled(root: &Path, token: &Path) -> String {
    try_to_enrol(root, token).unwrap_or_else(|said| panic!("{said}"))
}

/// The same, where it may be refused: what the agent says then.
pub fn try_to_enrol(root: &Path, token: &Path) -> Result<String, String> {
    let mut agent = Command::new(binaries::agent_with_faults());
    agent.arg("--root").arg(root).arg("enroll").arg("--token-file").arg(token);
    let output = agent.output().expect("the agent starts");
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stdout);
    Ok(said.trim().rsplit(' ').next().expect("an instance id").to_owned())
}
