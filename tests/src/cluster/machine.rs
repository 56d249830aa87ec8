//! A machine of the cluster: a scratch root, and an agent that is a process or a thread.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use getrandom::SysRng;
use opencpm_agent::agent::{Agent, Surroundings};
use opencpm_agent::clock::{Clock, SystemClock, duration};
use opencpm_agent::{enrol, run};
use opencpm_domain::{Span, Timestamp};
use opencpm_protocol::token::EnrolmentToken;
use rand_core::UnwrapErr;

use crate::scratch_root::{self, Scheme};
use crate::{Process, binaries, mortal};

/// A scratch root and its agent.
pub struct Machine {
    /// Its device.
    pub instance: String,
    /// Its file system.
    pub root: PathBuf,
    /// What runs on it.
    pub agent: Running,
}

/// An agent. Both are the same code, below a root of its own.
pub enum Running {
    /// `opencpm-agent run`.
    Process(Process),
    /// The agent's library in a thread of the test: it can be cut off, not killed.
    Thread(Thread),
}

/// An agent in a thread; it ends with the value, at its next pause.
pub struct Thread(Arc<AtomicBool>);

impl Drop for Thread {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A machine that is a device, and on which nothing runs yet.
pub(super) struct Enrolled {
    instance: String,
    root: PathBuf,
}

impl Enrolled {
    /// Makes the system below a root, and makes it a device.
    pub(super) fn new(root: PathBuf, number: usize, token: &EnrolmentToken) -> Self {
        scratch_root::lay_out(&root, Scheme::QuickSha512, number);
        let mut rng = UnwrapErr(SysRng);
        let surroundings = Surroundings::system(&root, &SystemClock, &mut rng).expect("a root");
        let instance = enrol::enrol(surroundings, state(&root), token, None, false);
        Self { instance: instance.expect("an enrolment").as_str().to_owned(), root }
    }

    /// Where it is.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Starts its agent as a process.
    pub(super) fn start_process(self) -> Machine {
        let log = self.root.with_extension("log");
        let root = self.root.clone();
        let process = Process::start(log, move || {
            let mut agent = mortal(binaries::agent());
            agent.arg("--root").arg(&root).arg("run");
            agent
        });
        Machine { instance: self.instance, root: self.root, agent: Running::Process(process) }
    }

    /// Starts its agent as a thread.
    pub(super) fn start_thread(self, patience: Duration) -> Machine {
        let stop = Arc::new(AtomicBool::new(false));
        let clock = ImpatientClock { stop: Arc::clone(&stop), patience };
        let root = self.root.clone();
        let thread = std::thread::Builder::new().name(self.instance.clone());
        thread.stack_size(STACK).spawn(move || live(&root, &clock)).expect("a thread");
        Machine { instance: self.instance, root: self.root, agent: Running::Thread(Thread(stop)) }
    }
}

/// Bytes; the agent's own thread has more, and there are hundreds of these.
const STACK: usize = 1 << 20;

fn live(root: &Path, clock: &ImpatientClock) {
    let mut rng = UnwrapErr(SysRng);
    let surroundings = Surroundings::system(root, clock, &mut rng).expect("a root");
    let mut agent = Agent::load(surroundings, state(root)).expect("an enrolled machine");
    run::run(&mut agent);
}

fn state(root: &Path) -> opencpm_agent::state::StateDir {
    opencpm_agent::state::StateDir::open(&root.join("var/lib/opencpm-agent")).expect("a state")
}

/// The machine's clocks, and no pause that is longer than its patience.
struct ImpatientClock {
    stop: Arc<AtomicBool>,
    patience: Duration,
}

impl Clock for ImpatientClock {
    fn now(&self) -> Timestamp {
        SystemClock.now()
    }

    fn since_boot(&self) -> Span {
        SystemClock.since_boot()
    }

    fn pause(&self, span: Span) -> ControlFlow<()> {
        let until = Instant::now() + duration(span).min(self.patience);
        while !self.stop.load(Ordering::Relaxed) {
            match until.saturating_duration_since(Instant::now()) {
                Duration::ZERO => return ControlFlow::Continue(()),
                left => std::thread::park_timeout(left),
            }
        }
        ControlFlow::Break(())
    }
}
