//! Lies that are planted: the checker finds each of them, and finds nothing in the truth.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use opencpm_tests::cluster::Observer;
use opencpm_tests::{Scheme, lay_out};
use serde_json::json;
use tempfile::TempDir;

use crate::afterwards::log_is_true;
use crate::checker::Checker;
use crate::door::{Dialect, Refusal};
use crate::field::Field;
use crate::history::{Event, History, Told};

const DEADLINE: Duration = Duration::from_secs(20);

const FIRST: &str = "First!123";
const FIRST_HASH: &str = "$6$aaaa$./5ZlnC.byba.b8HLaVsER7LpFOUfb2c70.Y8qAI/9HYKHgxZt8kBY982olgCRHFoHOdFD4KFjMiUptOD20lu1";
const FIRST_HASH_AGAIN: &str = "$6$bbbb$YI/VK/sxdMDcyPUDZ09rMMI1ol0e5cZ5.Qvlvh8rCvEj4zZh2nlFmzAT9nMPwSZtyuojBDUFQe2muzk0dL.jK0";
const SECOND: &str = "Second!12";
const SECOND_HASH: &str = "$6$cccc$MBccz/wP2H/PC889I5aWE2KzH8rG6ISnbRQSDZEEtzxleAjg/WnvwzTdefgNboVPWiZGqwK0KsqyHRvBYh1cM0";

/// One machine, and what clients are told of it.
struct Stage {
    dir: TempDir,
    field: Field,
    checker: Checker,
}

impl Stage {
    fn set() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let (root, bell) = (dir.path().join("machine"), dir.path().join("bell"));
        lay_out(&root, Scheme::Sha512, 1);
        std::fs::create_dir(&bell).expect("a folder");
        let observer = Arc::new(Observer::watch(&[root], &bell));
        let history = History::begin(&dir.path().join("history"));
        let instances = vec!["cpm-1".to_owned()];
        let field = Field::new(Vec::new(), instances, history, observer);
        Self { dir, field, checker: Checker::new(DEADLINE, 1) }
    }

    /// A client asks for a reset.
    fn asks(&self, password: &str) -> usize {
        let asked = (0, Dialect::V2);
        self.field.history.asks(asked, vec![0], |_| password.to_owned()).number
    }

    fn told(&self, reset: usize, told: Told) {
        self.field.history.add(Event::Told { reset, told });
    }

    /// A client asks for a reset, and it is accepted.
    fn accepted(&self, password: &str, task: u64) {
        let reset = self.asks(password);
        self.told(reset, Told::Task(task));
    }

    fn says(&self, task: u64, status: u64, reason: &str) {
        self.says_after(Duration::ZERO, task, status, reason);
    }

    fn says_after(&self, time: Duration, task: u64, status: u64, reason: &str) {
        let device = json!({"instanceId": "cpm-1", "status": status, "reason": reason});
        let data = json!({"status": status, "instanceIds": [device]});
        let asked = Instant::now() + time;
        self.field.history.add(Event::Looked { task, asked, dialect: Dialect::V2, data });
    }

    /// As an agent does it.
    fn replace(&self, hash: &str) {
        let draft = self.shadow().with_extension("draft");
        std::fs::write(&draft, self.with_hash(hash)).expect("a file");
        std::fs::rename(draft, self.shadow()).expect("a file");
        self.field.observer.catch_up();
    }

    fn with_hash(&self, hash: &str) -> String {
        let text = std::fs::read_to_string(self.shadow()).expect("a file");
        let (_, others) = text.split_once('\n').expect("lines");
        format!("root:{hash}:19700:0:99999:7:::\n{others}")
    }

    fn shadow(&self) -> std::path::PathBuf {
        self.dir.path().join("machine/etc/shadow")
    }

    fn is_true(&mut self) {
        assert_eq!(self.checker.check(&self.field), Vec::<String>::new());
    }

    fn is_a_lie(&mut self, what: &str) {
        let wrong = self.checker.check(&self.field);
        assert!(wrong.iter().any(|one| one.contains(what)), "{what}: {wrong:?}");
    }
}

#[test]
fn resets_that_are_what_they_are_said_to_be_are_true() {
    let mut stage = Stage::set();
    stage.accepted(FIRST, 1);
    stage.says(1, 4, "");
    stage.replace(FIRST_HASH);
    stage.says(1, 1, "");
    stage.is_true();
    stage.accepted(SECOND, 2);
    stage.says(2, 2, "outcome_unknown: nobody knows");
    stage.is_true();
    stage.replace(SECOND_HASH);
    stage.says(2, 1, "");
    stage.is_true();
    assert_eq!(log_is_true(&stage.field, &stage.checker, 0, &[1, 2]), Vec::<String>::new());
}

#[test]
fn a_success_that_never_was_on_the_disk_is_found() {
    let mut stage = Stage::set();
    stage.accepted(FIRST, 1);
    stage.says(1, 1, "");
    stage.is_a_lie("was changed, and it never was");
}

#[test]
fn a_failure_that_changed_the_machine_is_found_also_when_it_comes_later() {
    let mut stage = Stage::set();
    stage.accepted(FIRST, 1);
    stage.says(1, 2, "lock_timeout: somebody held it");
    stage.is_true();
    stage.replace(FIRST_HASH);
    stage.is_a_lie("lock_timeout of cpm-1, and it was changed");
}

#[test]
fn a_refused_reset_that_was_carried_out_is_found() {
    let mut stage = Stage::set();
    let reset = stage.asks(FIRST);
    stage.replace(FIRST_HASH);
    let refusal = Refusal { code: "9001".to_owned(), message: "the store is away".to_owned() };
    stage.told(reset, Told::Refused(refusal));
    stage.is_a_lie("was refused, and carried out");
}

#[test]
fn a_refusal_that_no_fault_explains_is_found() {
    let mut stage = Stage::set();
    let reset = stage.asks(FIRST);
    let refusal = Refusal { code: "6000".to_owned(), message: "a bug".to_owned() };
    stage.told(reset, Told::Refused(refusal));
    stage.is_a_lie("refused for no reason");
}

#[test]
fn a_reset_that_was_carried_out_twice_is_found() {
    let mut stage = Stage::set();
    stage.accepted(FIRST, 1);
    stage.replace(FIRST_HASH);
    stage.replace(FIRST_HASH_AGAIN);
    stage.says(1, 1, "");
    stage.is_a_lie("carried out twice");
}

#[test]
fn a_password_that_nobody_asked_for_is_found() {
    let mut stage = Stage::set();
    stage.replace(FIRST_HASH);
    stage.is_a_lie("nobody asked for");
}

#[test]
fn a_shadow_file_that_was_written_in_place_is_found() {
    let mut stage = Stage::set();
    let text = stage.with_hash(FIRST_HASH);
    std::fs::write(stage.shadow(), text).expect("a file");
    stage.is_a_lie("changed in place");
}

#[test]
fn half_a_shadow_file_is_found() {
    let mut stage = Stage::set();
    let text = stage.with_hash(FIRST_HASH);
    let draft = stage.shadow().with_extension("draft");
    std::fs::write(&draft, &text[..text.len() - 5]).expect("a file");
    std::fs::rename(draft, stage.shadow()).expect("a file");
    stage.is_a_lie("other lines have changed");
}

#[test]
fn an_accepted_task_that_is_lost_is_found() {
    let mut stage = Stage::set();
    stage.accepted(FIRST, 1);
    let what = "10001 there is no such task".to_owned();
    stage.field.history.add(Event::Puzzled { task: Some(1), what });
    stage.is_a_lie("was accepted, and then: 10001");
}

#[test]
fn a_task_without_an_end_by_its_deadline_is_found() {
    let mut stage = Stage::set();
    stage.accepted(FIRST, 1);
    stage.says_after(DEADLINE + Duration::from_secs(4), 1, 4, "");
    stage.is_true();
    stage.says_after(DEADLINE + Duration::from_secs(6), 1, 4, "");
    stage.is_a_lie("is still open");
}

#[test]
fn an_outcome_that_changes_is_found() {
    let mut stage = Stage::set();
    stage.accepted(FIRST, 1);
    stage.replace(FIRST_HASH);
    stage.says(1, 1, "");
    stage.is_true();
    stage.says(1, 2, "outcome_unknown: nobody knows");
    stage.is_a_lie("said Changed, and then");
}

#[test]
fn two_resets_that_are_told_the_same_task_are_found() {
    let mut stage = Stage::set();
    stage.accepted(FIRST, 1);
    stage.accepted(SECOND, 1);
    stage.is_a_lie("told for resets 0 and 1");
}

#[test]
fn an_older_reset_after_a_newer_one_is_found() {
    let mut stage = Stage::set();
    stage.accepted(FIRST, 1);
    stage.accepted(SECOND, 2);
    stage.replace(SECOND_HASH);
    stage.replace(FIRST_HASH);
    stage.is_true();
    let wrong = log_is_true(&stage.field, &stage.checker, 0, &[1, 2]);
    assert!(wrong[0].contains("after a newer one"), "{wrong:?}");
}

#[test]
fn a_task_that_nobody_was_told_of_and_one_that_is_not_logged_are_found() {
    let mut stage = Stage::set();
    stage.accepted(FIRST, 1);
    stage.is_true();
    let wrong = log_is_true(&stage.field, &stage.checker, 0, &[7]);
    assert!(wrong[0].contains("nobody was told of task 7"), "{wrong:?}");
    assert!(wrong[1].contains("not in the log"), "{wrong:?}");
}

#[test]
fn the_history_is_also_for_people() {
    let stage = Stage::set();
    stage.accepted(FIRST, 1);
    let text = std::fs::read_to_string(Path::new(stage.dir.path()).join("history"));
    assert!(text.expect("a file").contains("reset 0: Task(1)"));
}
