//! Killed in the middle of a reset.

#![expect(clippy::disallowed_methods, reason = "a test starts programs, the agent does not")]

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use opencpm_agent::apply::{
    AfterCrash, EntryDigest, Intent, Oversight, Step, examine_after_crash, tidy_up,
};
use opencpm_domain::Reason;
use rustix::process::{Signal, getpid, kill_process};

use crate::scratch::{SHADOW, Scratch};

const ROOT: &str = "OPENCPM_TEST_ROOT";
const STEP: &str = "OPENCPM_TEST_STEP";

/// Keeps the intent in a file, and kills its own process at a step.
struct KilledAt<'a> {
    scratch: &'a Scratch,
    step: String,
}

impl Oversight for KilledAt<'_> {
    fn intend(&mut self, intent: &Intent) -> Result<(), Reason> {
        self.scratch.write("intent", [intent.old.0, intent.new.0].concat());
        Ok(())
    }

    fn still_due(&mut self) -> Result<(), Reason> {
        Ok(())
    }

    fn reached(&mut self, step: Step) {
        if format!("{step:?}") == self.step {
            kill_process(getpid(), Signal::KILL).unwrap();
        }
    }
}

/// Does nothing by itself; the tests below run it in a process of its own.
#[test]
fn victim() {
    if let (Ok(root), Ok(step)) = (std::env::var(ROOT), std::env::var(STEP)) {
        let scratch = Scratch::existing(root.into());
        scratch.reset_with("abce1234", &mut KilledAt { scratch: &scratch, step }).unwrap();
    }
}

fn kill_at(step: Step, scratch: &Scratch) -> Intent {
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::victim"])
        .env(ROOT, scratch.path(""))
        .env(STEP, format!("{step:?}"))
        .status()
        .unwrap();
    assert_eq!(status.signal(), Some(Signal::KILL.as_raw()));
    let kept = fs::read(scratch.path("intent")).unwrap();
    let (old, new) = kept.split_at(32);
    Intent { old: EntryDigest(old.try_into().unwrap()), new: EntryDigest(new.try_into().unwrap()) }
}

#[test]
fn killed_before_the_rename_the_old_entry_stands_and_is_told() {
    let scratch = Scratch::new(SHADOW);
    let intent = kill_at(Step::IntentDurable, &scratch);
    assert_eq!(scratch.shadow(), SHADOW);
    assert!(scratch.path("etc/shadow.opencpm-new").exists());
    for _ in 0..2 {
        assert_eq!(examine_after_crash(&scratch.root(), &intent).unwrap(), AfterCrash::Old);
    }
    tidy_up(&scratch.root()).unwrap();
    assert_eq!(scratch.names_in_etc(), [".pwd.lock", "login.defs", "shadow"]);
    scratch.reset().unwrap();
}

#[test]
fn killed_after_the_rename_the_new_entry_stands_and_is_told() {
    for step in [Step::Renamed, Step::Verified] {
        let scratch = Scratch::new(SHADOW);
        let intent = kill_at(step, &scratch);
        assert_ne!(scratch.shadow(), SHADOW);
        assert_eq!(examine_after_crash(&scratch.root(), &intent).unwrap(), AfterCrash::New);
        scratch.reset_with("other1234", &mut opencpm_agent::apply::Unattended).unwrap();
        assert_eq!(examine_after_crash(&scratch.root(), &intent).unwrap(), AfterCrash::Neither);
    }
}

#[test]
fn an_entry_that_another_hand_changed_meanwhile_is_neither() {
    let scratch = Scratch::new(SHADOW);
    let intent = kill_at(Step::IntentDurable, &scratch);
    for other in ["root:$6$other$x:19000:0:99999:7:::\n", "daemon:*:1::::::\n", "root:broken\n"] {
        scratch.write("etc/shadow", other);
        assert_eq!(examine_after_crash(&scratch.root(), &intent).unwrap(), AfterCrash::Neither);
    }
    fs::remove_file(scratch.path("etc/shadow")).unwrap();
    assert_eq!(examine_after_crash(&scratch.root(), &intent).unwrap(), AfterCrash::Neither);
}

#[test]
fn an_old_entry_that_was_put_back_after_the_rename_does_not_prove_that_nothing_happened() {
    for step in [Step::Renamed, Step::Verified] {
        let scratch = Scratch::new(SHADOW);
        let intent = kill_at(step, &scratch);
        scratch.write("etc/shadow", SHADOW);
        assert_eq!(examine_after_crash(&scratch.root(), &intent).unwrap(), AfterCrash::Neither);
    }
}

#[test]
fn the_rest_of_the_file_may_change_meanwhile() {
    let scratch = Scratch::new(SHADOW);
    let intent = kill_at(Step::Renamed, &scratch);
    scratch.write("etc/shadow", scratch.shadow() + "new:*:20000:0:99999:7:::\n");
    assert_eq!(examine_after_crash(&scratch.root(), &intent).unwrap(), AfterCrash::New);
}
