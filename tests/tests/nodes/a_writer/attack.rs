//! A deployment, and all that somebody with its database and its broker can do there.

use std::time::Duration;

use opencpm_servers::Stranger;
use opencpm_tests::{Nodes, eventually};
use rustix::process::Signal;
use serde_json::Value;
use tokio::runtime::Runtime;

/// A task ends so soon, whatever was done to it.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

pub(crate) struct Attack {
    pub(crate) nodes: Nodes,
    /// The installation's id, as names at the broker hold it.
    pub(crate) deployment: String,
    pub(crate) stranger: Stranger,
    pub(crate) runtime: Runtime,
    /// Passwords that were asked for get a number, so that each is another one.
    passwords: u32,
}

impl Attack {
    /// Two machines; the attacker has nothing of them.
    pub(crate) fn start() -> Self {
        let nodes = Nodes::start(2);
        let runtime = Runtime::new().unwrap();
        let stranger = runtime.block_on(Stranger::at(&nodes.rabbit));
        let deployment = nodes.postgres.sql("opencpm", "SELECT encode(id, 'hex') FROM deployment");
        Self { nodes, deployment, stranger, runtime, passwords: 0 }
    }

    pub(crate) fn sql(&self, sql: &str) -> String {
        self.nodes.postgres.sql("opencpm", sql)
    }

    pub(crate) fn instance(&self, machine: usize) -> &str {
        &self.nodes.machines[machine].instance
    }

    /// Root's hash on every machine.
    pub(crate) fn hashes(&self) -> Vec<String> {
        self.nodes.machines.iter().map(|machine| machine.root_hash()).collect()
    }

    /// A password that was never used.
    pub(crate) fn password(&mut self) -> String {
        self.passwords += 1;
        format!("Never#set{}", self.passwords)
    }

    /// Has one reset accepted for each of these machines, each with a password of its own, and does
    /// something to the database before any gateway has read a job. Returns how the tasks ended.
    pub(crate) fn intercepted(
        &mut self,
        machines: &[usize],
        attack: impl FnOnce(&Self, &[u64]),
    ) -> Vec<Value> {
        // After the last attack agents may still be on their way back. From now on the time of a
        // lease is enough for all of it.
        machines.iter().for_each(|it| self.nodes.wait_for_agent(self.instance(*it), true));
        self.signal_gateways(Signal::STOP);
        let mut reset = |machine: &usize| {
            let password = self.password();
            self.nodes.client(0).reset(&[self.instance(*machine)], &password).expect("accepted")
        };
        let tasks: Vec<u64> = machines.iter().map(&mut reset).collect();
        attack(self, &tasks);
        self.signal_gateways(Signal::CONT);
        tasks.iter().map(|task| self.nodes.client(1).wait(*task, LIMIT)).collect()
    }

    /// The same, of which nothing may come but this refusal by the machines.
    pub(crate) fn refused(
        &mut self,
        machines: &[usize],
        reason: &str,
        attack: impl FnOnce(&Self, &[u64]),
    ) {
        let before = self.hashes();
        for data in self.intercepted(machines, attack) {
            self.is_failure(&data, reason);
        }
        assert_eq!(self.hashes(), before);
    }

    pub(crate) fn is_failure(&self, data: &Value, reason: &str) {
        assert_eq!(data["status"], 2, "{data}\n{}", self.nodes.said());
        let told = data["instanceIds"][0]["reason"].as_str().expect("a reason");
        assert!(told.starts_with(reason), "{reason} is expected: {data}");
    }

    /// A reset that is done: what the client asked for is what the machine has.
    pub(crate) fn reset(&mut self, machine: usize) -> u64 {
        let password = self.password();
        let task = eventually("a task is accepted", LIMIT, || {
            self.nodes.client(0).try_reset(&[self.instance(machine)], &password).ok()?.ok()
        });
        let data = self.nodes.client(1).wait(task, LIMIT);
        assert_eq!(data["status"], 1, "{data}\n{}", self.nodes.said());
        assert!(self.nodes.machines[machine].has(&password));
        task
    }

    pub(crate) fn a_reset_still_works(&mut self) {
        for machine in 0..self.nodes.machines.len() {
            self.reset(machine);
        }
    }

    /// Has something refused at the API: nothing is written that an attacker could open.
    pub(crate) fn refused_at_once(&mut self, machine: usize, why: &str) {
        let password = self.password();
        let before = self.sql("SELECT count(*) FROM task");
        let refusal = self.nodes.client(0).reset(&[self.instance(machine)], &password);
        let refusal = refusal.expect_err("a reset was accepted");
        assert!(refusal["message"].as_str().is_some_and(|told| told.contains(why)), "{refusal}");
        assert_eq!(self.sql("SELECT count(*) FROM task"), before);
        assert_eq!(self.sql("SELECT count(*) FROM sealed"), "0");
    }

    /// Lets every connection of the service be made anew, as after a change of settings.
    pub(crate) fn cut_off_the_service(&self) {
        self.sql(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
             WHERE datname = 'opencpm' AND pid <> pg_backend_pid()",
        );
    }

    fn signal_gateways(&mut self, signal: Signal) {
        self.nodes.gateways.iter_mut().for_each(|gateway| gateway.process.signal(signal));
    }
}
