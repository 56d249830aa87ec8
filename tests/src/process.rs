//! Processes that tests start.

use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::eventually;

/// A command that is killed when the thread that starts it ends, so that a test that was itself
/// killed leaves nothing behind.
pub fn mortal(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

/// A process that is killed, halted and started again.
pub struct Process {
    command: Box<dyn Fn() -> Command>,
    log: PathBuf,
    child: Child,
}

impl Process {
    /// Starts what `command` makes, now and each time again. What it says is added to the log.
    pub fn start(log: PathBuf, command: impl Fn() -> Command + 'static) -> Self {
        let child = spawn(command(), &log);
        Self { command: Box::new(command), log, child }
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// False once it has ended; a halted process runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("the state of our own child").is_none()
    }

    /// Starts it again if it has ended.
    pub fn tend(&mut self) {
        if !self.is_running() {
            self.child = spawn((self.command)(), &self.log);
        }
    }

    /// SIGKILL, and waits for the end. One that has ended already is left alone.
    pub fn kill(&mut self) {
        self.child.kill().expect("our own child");
        self.child.wait().expect("our own child");
    }

    /// Waits until it has ended, as it was asked to.
    pub fn ended(&mut self) {
        eventually("the end of a process", Duration::from_secs(90), || {
            (!self.is_running()).then_some(())
        });
    }

    /// Sends a signal to a process that runs.
    pub fn signal(&mut self, signal: Signal) {
        assert!(self.is_running(), "it has ended: {}", self.said());
        kill_process(Pid::from_child(&self.child), signal).expect("our own child");
    }

    /// Everything that it said so far, over all its lives.
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn spawn(mut command: Command, log: &Path) -> Child {
    let log = OpenOptions::new().create(true).append(true).open(log).expect("a log");
    command.stdin(Stdio::null()).stdout(log.try_clone().expect("a second handle")).stderr(log);
    command.spawn().expect("the program starts")
}
