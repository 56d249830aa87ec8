//! A server's process, with whatever it starts.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{LazyLock, Mutex, PoisonError};

use rustix::process::{Pid, Signal, kill_process};

use crate::eventually;

/// A command that is killed with this process, and runs as another user where one is given.
pub(crate) fn mortal(program: impl Into<PathBuf>, user: Option<(u32, u32)>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]);
    if let Some((user, group)) = user {
        command.arg(format!("--reuid={user}")).arg(format!("--regid={group}"));
        command.arg("--clear-groups");
    }
    command.arg("--").arg(program.into());
    command
}

/// A running server.
pub struct Daemon {
    plan: Plan,
    child: Child,
}

/// How a server is started.
pub(crate) struct Plan {
    /// What it is called when it does not start.
    pub(crate) name: &'static str,
    /// Where what it says is added.
    pub(crate) log: PathBuf,
    /// Made now and each time again.
    pub(crate) command: Box<dyn Fn() -> Command + Send + Sync>,
    /// Whether it takes requests.
    pub(crate) answers: Box<dyn Fn() -> bool + Send + Sync>,
}

impl Daemon {
    /// Returns when it takes requests.
    pub(crate) fn start(plan: Plan) -> Self {
        let child = spawn((plan.command)(), &plan.log);
        let mut this = Self { plan, child };
        this.wait_until_it_answers();
        this
    }

    /// Starts it after its end, and returns when it takes requests.
    pub fn start_again(&mut self) {
        self.child = spawn((self.plan.command)(), &self.plan.log);
        self.wait_until_it_answers();
    }

    /// The same if it has ended: a full disk ends a database.
    pub fn tend(&mut self) {
        if self.child.try_wait().expect("our own child").is_some() {
            self.start_again();
        }
    }

    fn wait_until_it_answers(&mut self) {
        let Self { plan, child } = self;
        eventually(plan.name, || {
            let ended = child.try_wait().expect("our own child");
            assert!(ended.is_none(), "{} has ended: {}", plan.name, said(&plan.log));
            (plan.answers)().then_some(())
        });
    }

    /// SIGKILL for it and all that it started, as if the power went.
    pub fn kill(&mut self) {
        let all = self.family();
        send(&all, Signal::STOP);
        let all = self.family().into_iter().chain(all).collect::<Vec<_>>();
        send(&all, Signal::KILL);
        self.child.wait().expect("our own child");
        let exists = |pid: &Pid| {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
            // A zombie holds nothing any more, and its new parent buries it.
            stat.is_ok_and(|stat| !stat.contains(") Z "))
        };
        eventually("the end of a killed server", || (!all.iter().any(exists)).then_some(()));
    }

    /// Asks it to end and waits until it has.
    pub(crate) fn end(&mut self, signal: Signal) {
        send(&[Pid::from_child(&self.child)], signal);
        let log = self.log();
        eventually(&format!("the end of a server that was asked to: {log}"), || {
            self.child.try_wait().expect("our own child")
        });
    }

    /// Nothing of it runs until [`Self::thaw`].
    pub fn freeze(&self) {
        send(&self.family(), Signal::STOP);
    }

    /// It goes on.
    pub fn thaw(&self) {
        send(&self.family(), Signal::CONT);
    }

    /// Everything that it said so far.
    pub fn log(&self) -> String {
        said(&self.plan.log)
    }

    /// It and its descendants, itself first.
    fn family(&self) -> Vec<Pid> {
        let mut all = vec![Pid::from_child(&self.child)];
        let mut next = 0;
        while let Some(pid) = all.get(next) {
            all.extend(children(*pid));
            next += 1;
        }
        all
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.kill();
        }
    }
}

fn said(log: &Path) -> String {
    std::fs::read_to_string(log).unwrap_or_default()
}

fn children(pid: Pid) -> Vec<Pid> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero()));
    let tasks = tasks.into_iter().flatten().flatten();
    let of_task = |task: std::fs::DirEntry| {
        std::fs::read_to_string(task.path().join("children")).unwrap_or_default()
    };
    let all: Vec<String> = tasks.map(of_task).collect();
    let ids = all.iter().flat_map(|ids| ids.split_ascii_whitespace());
    ids.filter_map(|id| Pid::from_raw(id.parse().ok()?)).collect()
}

/// One that has ended meanwhile needs no signal.
fn send(processes: &[Pid], signal: Signal) {
    for pid in processes {
        let _ = kill_process(*pid, signal);
    }
}

type Order = (Command, Sender<std::io::Result<Child>>);

/// A mortal process dies with the thread that started it. Tests are threads that come and go;
/// this one stays as long as the process.
fn spawn(mut command: Command, log: &PathBuf) -> Child {
    static STARTER: LazyLock<Mutex<Sender<Order>>> = LazyLock::new(|| {
        let (orders, taken) = channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, answer) in taken {
                drop(answer.send(command.spawn()));
            }
        });
        Mutex::new(orders)
    });
    let log = OpenOptions::new().create(true).append(true).open(log).expect("a log");
    command.stdin(Stdio::null()).stdout(log.try_clone().expect("a second handle")).stderr(log);
    let (answer, started) = channel();
    let starter = STARTER.lock().unwrap_or_else(PoisonError::into_inner);
    starter.send((command, answer)).expect("the starter lives as long as the process");
    started.recv().expect("the starter answers").expect("the program starts")
}
