//! A crash around the change is reported truthfully at the next start.

use std::fs;
use std::path::PathBuf;

use opencpm_agent::apply::{Intent, Order, Oversight, Root, Step, reset};
use opencpm_agent::state::{Phase, State, StateDir};
use opencpm_domain::{JobId, Password, PasswordPolicy, Reason, Sequence, Verdict};

use crate::gateway::{Script, Seen};
use crate::machine::Machine;

/// Keeps the intent as the agent does, and goes no further than the test says.
struct Crash<'a> {
    machine: &'a Machine,
    directory: &'a StateDir,
    state: State,
    before_rename: bool,
}

impl Oversight for Crash<'_> {
    fn intend(&mut self, intent: &Intent) -> Result<(), Reason> {
        let (job, sequence) = (JobId::from_bytes([1; 16]), Sequence::new(1));
        self.state.jobs.raise(sequence);
        self.state.jobs.record(job, sequence, Phase::Intended(intent.into()));
        self.directory.save(&self.state).map_err(|_| Reason::StateUnwritable)
    }

    fn still_due(&mut self) -> Result<(), Reason> {
        if self.before_rename { Err(Reason::Expired) } else { Ok(()) }
    }

    /// A reset that returns tidies up; one that is killed does not.
    fn reached(&mut self, step: Step) {
        if step == Step::IntentDurable && self.before_rename {
            let [new, kept] = leftover(self.machine);
            fs::hard_link(new, kept).unwrap();
        }
    }
}

/// The new file beside the old one, and where it waits until the reset has returned.
fn leftover(machine: &Machine) -> [PathBuf; 2] {
    ["etc/shadow.opencpm-new", "etc/kept"].map(|name| machine.tree.path().join(name))
}

/// The agent stops between intent and rename, or between rename and report.
pub(crate) fn crash(machine: &Machine, before_rename: bool) {
    let directory = machine.directory();
    let state = machine.state();
    let password = Password::new("abce1234".into(), PasswordPolicy::Seed).unwrap();
    let order = Order {
        password: &password,
        today: 20_000,
        issued: 20_000,
        wait: Order::USUAL_WAIT,
        salt: [3; 16],
    };
    let root = Root::open(machine.tree.path()).unwrap();
    let mut crash = Crash { machine, directory: &directory, state, before_rename };
    let ended = reset(&root, &order, &mut crash);
    assert_eq!(ended.is_err(), before_rename);
    if before_rename {
        let [new, kept] = leftover(machine);
        fs::rename(kept, new).unwrap();
    }
}

fn after(machine: &Machine) -> Seen {
    machine.connect(Script { reports: 1, ..machine.script() })
}

#[test]
fn a_change_that_happened_is_reported_as_applied() {
    let machine = Machine::enrolled();
    crash(&machine, false);
    let seen = after(&machine);
    assert!(matches!(seen.reports[0].verdict(), Verdict::Applied { .. }));
    assert_eq!(seen.hello.unwrap().highest_sequence.get(), 1);
    assert!(machine.root_has("abce1234"));
}

#[test]
fn a_change_that_did_not_happen_is_reported_as_interrupted() {
    let machine = Machine::enrolled();
    crash(&machine, true);
    let verdict = after(&machine).reports[0].verdict();
    assert_eq!(verdict, Verdict::NotApplied(Reason::Interrupted));
    assert!(!machine.root_has("abce1234"));
    assert!(!leftover(&machine)[0].exists());
}

#[test]
fn another_hands_change_after_the_crash_leaves_the_outcome_unknown() {
    for before_rename in [true, false] {
        let machine = Machine::enrolled();
        crash(&machine, before_rename);
        let shadow = machine.tree.path().join("etc/shadow");
        fs::write(shadow, "root:$6$other$hand:20000:0:99999:7:::\n").unwrap();
        let verdict = after(&machine).reports[0].verdict();
        assert_eq!(verdict, Verdict::NotApplied(Reason::Overwritten));
    }
}

#[test]
fn a_job_that_comes_again_after_the_crash_is_answered_and_not_done() {
    let machine = Machine::enrolled();
    let job = machine.job(1, "other123");
    crash(&machine, true);
    let seen = machine.connect(Script { jobs: vec![job], reports: 2, ..machine.script() });
    assert_eq!(seen.reports[0], seen.reports[1]);
    assert_eq!(seen.reports[0].verdict(), Verdict::NotApplied(Reason::Interrupted));
    assert!(!machine.root_has("other123"));
}

#[test]
fn what_a_reset_left_that_was_stopped_before_its_intent_is_removed_at_the_start() {
    let machine = Machine::enrolled();
    let etc = machine.tree.path().join("etc");
    fs::write(etc.join("shadow.opencpm-new"), "half a file with hashes").unwrap();
    fs::write(etc.join("shadow.lock"), format!("{}\0", std::process::id())).unwrap();
    machine.connect(machine.script());
    assert!(!etc.join("shadow.opencpm-new").exists() && !etc.join("shadow.lock").exists());
}
