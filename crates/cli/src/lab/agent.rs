//! Agents as processes: one enrols and ends; one runs, and is started again when it dies.

use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use opencpm_domain::InstanceId;
use rustix::process::{
    Pid, Signal, getpid, getppid, kill_process, set_parent_process_death_signal,
};
use secrecy::{ExposeSecret, SecretString};
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::machine::Machine;

/// Below the lab's folder.
pub(super) const LOGS: &str = "logs";

/// Between the death of an agent and its next start; doubled up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// An agent that ran so long has no trouble in starting.
const HEALTHY: Duration = Duration::from_secs(10);
/// For an agent that is asked to end.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// The agent's program cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AgentError {
    /// Not where it was looked for.
    #[error("there is no agent at {}: build it, or say where it is with --agent-binary", .0.display())]
    Missing(PathBuf),
    /// This program's own place, beside which the agent is looked for.
    #[error("the place of this program is unknown: say where the agent is with --agent-binary")]
    Place(#[source] io::Error),
    /// It does not start.
    #[error("the agent {} does not start", .0.display())]
    Start(PathBuf, #[source] io::Error),
    /// The machine did not become a device.
    #[error("the machine at {} did not enrol ({status}): {said}", .root.display())]
    Enrol {
        /// The machine.
        root: PathBuf,
        /// How the agent ended.
        status: ExitStatus,
        /// What it said.
        said: String,
    },
}

/// The agent's program.
pub(super) struct Program(PathBuf);

impl Program {
    /// The one given, else the one beside this program.
    pub(super) fn find(given: Option<&Path>) -> Result<Self, AgentError> {
        let path = match given {
            Some(path) => path.to_owned(),
            None => {
                let own = std::env::current_exe().map_err(AgentError::Place)?;
                own.with_file_name("opencpm-agent")
            }
        };
        let found = path.canonicalize().ok().filter(|path| path.is_file());
        found.map(Self).ok_or(AgentError::Missing(path))
    }

    /// Makes the machine a device. The token goes through a pipe: arguments are for everybody.
    pub(super) async fn enrol(
        &self,
        root: &Path,
        token: &SecretString,
    ) -> Result<InstanceId, AgentError> {
        let failed = |error| AgentError::Start(self.0.clone(), error);
        let mut command = self.command(root, "enroll");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(failed)?;
        if let Some(mut input) = child.stdin.take() {
            // An agent that ends early tells why; that its pipe broke tells nothing.
            drop(input.write_all(token.expose_secret().as_bytes()).await);
        }
        let output = child.wait_with_output().await.map_err(failed)?;
        let said = String::from_utf8_lossy(&output.stdout);
        let instance = said.trim().rsplit(' ').next().and_then(|id| InstanceId::parse(id).ok());
        instance.filter(|_| output.status.success()).ok_or_else(|| AgentError::Enrol {
            root: root.to_owned(),
            status: output.status,
            said: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        })
    }

    fn run(&self, machine: &Machine) -> io::Result<Child> {
        let log = log_file(machine)?;
        let mut command = self.command(&machine.root, "run");
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        command.spawn()
    }

    /// Its parent's end is its own. Must be spawned from the main thread, see the module above.
    fn command(&self, root: &Path, what: &str) -> Command {
        let mut command = Command::new(&self.0);
        command.arg("--root").arg(root).arg(what).kill_on_drop(true);
        let lab = getpid();
        // SAFETY: between fork and exec the closure makes three system calls and nothing else: it
        // neither allocates nor takes a lock.
        #[expect(unsafe_code, reason = "the death signal is set in the child, before its program")]
        unsafe {
            command.pre_exec(move || die_with(lab));
        }
        command
    }
}

fn die_with(parent: Pid) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // The parent may have died before: then nobody will send the signal.
    if getppid() == Some(parent) { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) }
}

fn log_file(machine: &Machine) -> io::Result<File> {
    let machines = machine.root.parent().unwrap_or(&machine.root);
    let logs = machines.parent().unwrap_or(machines).join(LOGS);
    std::fs::create_dir_all(&logs)?;
    OpenOptions::new().create(true).append(true).open(logs.join(format!("{}.log", machine.name)))
}

/// Agents that are kept running, all of them driven by one future.
pub(super) struct Agents<'a> {
    program: &'a Program,
    stop: CancellationToken,
    add: mpsc::UnboundedSender<Machine>,
    added: RefCell<Option<mpsc::UnboundedReceiver<Machine>>>,
}

impl<'a> Agents<'a> {
    /// None yet.
    pub(super) fn new(program: &'a Program, stop: CancellationToken) -> Self {
        let (add, added) = mpsc::unbounded_channel();
        Self { program, stop, add, added: RefCell::new(Some(added)) }
    }

    /// What they run.
    pub(super) fn program(&self) -> &'a Program {
        self.program
    }

    /// One more, from now on.
    pub(super) fn keep_running(&self, machine: Machine) {
        // Fails when everything is ending already.
        drop(self.add.send(machine));
    }

    /// Keeps them running until the end is asked for and all have ended.
    pub(super) async fn run(&self) {
        let Some(mut added) = self.added.take() else { return };
        let mut running = FuturesUnordered::new();
        loop {
            tokio::select! {
                () = self.stop.cancelled() => break,
                Some(machine) = added.recv() => running.push(self.keep(machine)),
                Some(()) = running.next() => {}
            }
        }
        while running.next().await.is_some() {}
    }

    /// As a service manager would: started again when it dies, more slowly when it dies at once.
    async fn keep(&self, machine: Machine) {
        let mut pause = FIRST_PAUSE;
        while !self.stop.is_cancelled() {
            let started = Instant::now();
            match self.program.run(&machine) {
                Ok(child) => self.watch(&machine, child).await,
                Err(error) => tracing::error!(machine = machine.name, %error, "no agent"),
            }
            if started.elapsed() > HEALTHY {
                pause = FIRST_PAUSE;
            }
            self.stop.run_until_cancelled(sleep(pause)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn watch(&self, machine: &Machine, mut child: Child) {
        tokio::select! {
            ended = child.wait() => match ended {
                Ok(status) => tracing::warn!(machine = machine.name, %status, "the agent died"),
                Err(error) => tracing::error!(machine = machine.name, %error, "the agent is lost"),
            },
            () = self.stop.cancelled() => end(child).await,
        }
    }
}

/// In good order where it can, and in any case.
async fn end(mut child: Child) {
    let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    if let Some(Err(error)) = pid.map(|pid| kill_process(pid, Signal::TERM)) {
        tracing::debug!(%error, "the agent ended by itself");
    }
    if timeout(LAST_WORDS, child.wait()).await.is_err() {
        drop(child.kill().await);
    }
}
