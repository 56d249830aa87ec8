//! A lab of one machine, driven from outside like anyone would: `opencpm lab` and its ready file.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;

use crate::command::{self, CommandError};

/// How long the lab may take until its machine accepts a reset.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// How long it may take to end when asked.
const ENDED_WITHIN: Duration = Duration::from_secs(10);

/// The lab did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LabError {
    #[error("cannot prepare {path}")]
    Folder { path: PathBuf, source: io::Error },
    #[error("the lab ended early ({status}), see {log}")]
    Ended { status: ExitStatus, log: PathBuf },
    #[error("the lab was not ready within {} s, see {log}", READY_WITHIN.as_secs())]
    NotReady { log: PathBuf },
    #[error("cannot run or watch {program}")]
    Process { program: PathBuf, source: io::Error },
    #[error("the lab's ready file is not in the expected form")]
    ReadyFile(#[from] serde_json::Error),
    #[error("the lab names no machine")]
    NoMachine,
    #[error("the machine's password was not reset")]
    Reset(#[source] CommandError),
    #[error("the lab has no child process that runs {agent}")]
    NoAgent { agent: PathBuf },
}

/// A running lab; it ends when dropped.
pub(super) struct Lab {
    server: PathBuf,
    agent: PathBuf,
    process: Child,
    ready: Ready,
}

/// The part of the ready file that is used here.
#[derive(Deserialize)]
struct Ready {
    https: String,
    ca: PathBuf,
    secret_id: String,
    secret_key: String,
    devices: Vec<Device>,
}

#[derive(Deserialize)]
struct Device {
    instance_id: String,
}

impl Lab {
    /// Starts it with everything below `folder`, which is emptied first, and waits until its
    /// machine accepts a reset.
    pub(super) fn start(server: &Path, agent: &Path, folder: &Path) -> Result<Self, LabError> {
        let log = folder.join("lab.log");
        let ready_file = folder.join("ready.json");
        let output = emptied(folder)
            .and_then(|()| fs::File::create(&log))
            .map_err(|source| LabError::Folder { path: folder.to_owned(), source })?;
        let errors =
            output.try_clone().map_err(|source| LabError::Folder { path: log.clone(), source })?;
        let mut process = Command::new(server)
            .args(["lab", "--agents", "1", "--agent-binary"])
            .arg(agent)
            .arg("--ready-file")
            .arg(&ready_file)
            .arg("--dir")
            .arg(folder.join("deployment"))
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .map_err(|source| LabError::Process { program: server.to_owned(), source })?;
        let ready = wait_until_ready(&mut process, &ready_file, &log);
        let ready = ready.inspect_err(|_| end(&mut process))?;
        Ok(Self { server: server.to_owned(), agent: agent.to_owned(), process, ready })
    }

    /// Resets the machine's password through the public API, by the command line tool.
    pub(super) fn reset_password(&self) -> Result<(), LabError> {
        let Ready { https, ca, secret_id, secret_key, devices } = &self.ready;
        let device = devices.first().ok_or(LabError::NoMachine)?;
        let mut reset = Command::new(&self.server);
        reset.args(["reset-password", "--generate", &device.instance_id]);
        reset.env("OPENCPM_ENDPOINT", https).env("OPENCPM_CA", ca);
        reset.env("OPENCPM_SECRET_ID", secret_id).env("OPENCPM_SECRET_KEY", secret_key);
        command::text(&mut reset).map(drop).map_err(LabError::Reset)
    }

    /// The agent's folder under /proc: the lab's child that runs the agent's binary.
    pub(super) fn agent_process(&self) -> Result<PathBuf, LabError> {
        let parent = format!("PPid:\t{}\n", self.process.id());
        let binary = fs::canonicalize(&self.agent)
            .map_err(|source| LabError::Process { program: self.agent.clone(), source })?;
        let processes = fs::read_dir("/proc")
            .map_err(|source| LabError::Folder { path: "/proc".into(), source })?;
        // Processes may end while we look: what cannot be read is not the one.
        let is_agent = |process: &PathBuf| {
            fs::read_to_string(process.join("status")).is_ok_and(|text| text.contains(&parent))
                && fs::read_link(process.join("exe")).is_ok_and(|exe| exe == binary)
        };
        let mut paths = processes.filter_map(|entry| Some(entry.ok()?.path()));
        paths.find(is_agent).ok_or_else(|| LabError::NoAgent { agent: self.agent.clone() })
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        end(&mut self.process);
    }
}

fn emptied(folder: &Path) -> io::Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)
}

/// The lab renames its ready file into place, so it is complete once it can be read.
fn wait_until_ready(lab: &mut Child, file: &Path, log: &Path) -> Result<Ready, LabError> {
    let begin = Instant::now();
    while begin.elapsed() < READY_WITHIN {
        if let Ok(text) = fs::read_to_string(file) {
            return Ok(serde_json::from_str(&text)?);
        }
        if let Ok(Some(status)) = lab.try_wait() {
            return Err(LabError::Ended { status, log: log.to_owned() });
        }
        thread::sleep(Duration::from_millis(50));
    }
    Err(LabError::NotReady { log: log.to_owned() })
}

/// Asks it to end, so that it takes its agents with it; insists when it does not.
fn end(lab: &mut Child) {
    if let Some(pid) = Pid::from_raw(lab.id().cast_signed())
        && kill_process(pid, Signal::TERM).is_ok()
    {
        let begin = Instant::now();
        while begin.elapsed() < ENDED_WITHIN && matches!(lab.try_wait(), Ok(None)) {
            thread::sleep(Duration::from_millis(50));
        }
    }
    // Does nothing to a process whose end has been seen.
    if let Err(error) = lab.kill().and_then(|()| lab.wait()) {
        eprintln!("the lab did not end: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stand_in() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("src/footprint/stand_in.sh")
    }

    #[test]
    fn the_agent_is_found_and_ends_with_the_lab() {
        let folder = tempfile::tempdir().unwrap();
        let lab = Lab::start(&stand_in(), Path::new("/bin/sleep"), folder.path()).unwrap();
        lab.reset_password().unwrap();
        let agent = lab.agent_process().unwrap();
        drop(lab);
        assert!(!agent.exists());
    }

    #[test]
    fn a_lab_that_ends_early_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let ended = Lab::start(Path::new("/bin/false"), Path::new("/bin/sleep"), folder.path());
        assert!(matches!(ended, Err(LabError::Ended { .. })));
    }
}
