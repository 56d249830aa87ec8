//! A server's process, with whatever it starts.

use std::fs::OpenOptions;
use std::path::PathBuf;
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
pub(crate) struct Daemon {
    make: Box<dyn Fn() -> Command + Send + Sync>,
    log: PathBuf,
    child: Child,
}

impl Daemon {
    /// Starts what `make` makes, now and each time again. What it says is added to the log.
    pub(crate) fn start(log: PathBuf, make: impl Fn() -> Command + Send + Sync + 'static) -> Self {
        let child = spawn(make(), &log);
        Self { make: Box::new(make), log, child }
    }

    /// Starts it again after its end.
    pub(crate) fn start_again(&mut self) {
        self.child = spawn((self.make)(), &self.log);
    }

    /// SIGKILL for it and all that it started, as if the power went.
    pub(crate) fn kill(&mut self) {
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
        let said = self.said();
        eventually(&format!("the end of a server that was asked to: {said}"), || {
            self.child.try_wait().expect("our own child")
        });
    }

    /// Nothing of it runs until [`Self::thaw`].
    pub(crate) fn freeze(&self) {
        send(&self.family(), Signal::STOP);
    }

    /// It goes on.
    pub(crate) fn thaw(&self) {
        send(&self.family(), Signal::CONT);
    }

    /// False once it has ended.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("our own child").is_none()
    }

    /// Everything that it said so far.
    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
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
