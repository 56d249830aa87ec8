//! What becomes of jobs.

use opencpm_domain::{Reason, Span, Verdict};
use opencpm_protocol::message::JobFrame;
use opencpm_protocol::report::Report;

use crate::gateway::{Script, Seen};
use crate::machine::{Machine, SHADOW};

fn reasons(seen: &Seen) -> Vec<Reason> {
    reasons_of(&seen.reports)
}

fn reasons_of(reports: &[Report]) -> Vec<Reason> {
    let reason = |verdict| match verdict {
        Verdict::NotApplied(reason) => reason,
        Verdict::Applied { .. } => panic!("applied"),
    };
    reports.iter().map(|report| reason(report.verdict())).collect()
}

#[test]
fn a_job_sets_the_password_and_its_report_is_kept() {
    let machine = Machine::enrolled();
    let seen = machine.deliver(vec![machine.job(1, "abce1234")]);
    assert!(matches!(seen.reports[0].verdict(), Verdict::Applied { .. }));
    assert_eq!(seen.reports[0].scheme.as_deref(), Some("sha512crypt"));
    assert!(machine.root_has("abce1234"));
    assert!(machine.shadow().starts_with("daemon:*:19000:0:99999:7:::\n"));
    let state = machine.state();
    assert!(state.jobs.unacknowledged().is_empty());
    assert_eq!(state.jobs.highest.get(), 1);
}

#[test]
fn each_applied_job_brings_a_new_sealing_key_and_the_old_one_still_opens_for_a_while() {
    let machine = Machine::enrolled();
    let old = machine.sealing();
    machine.deliver(vec![machine.job(1, "abce1234")]);
    assert_eq!(machine.sealing().0, old.0.next());
    let late = machine.deployment.job(2, "late1234", old, machine.now());
    machine.deliver(vec![late]);
    assert!(machine.root_has("late1234"));
}

#[test]
fn a_sealing_key_is_replaced_after_a_week_without_jobs() {
    let machine = Machine::enrolled();
    let first = machine.sealing().0;
    machine.connect(machine.script());
    machine.clock.ahead.set(8 * 86_400_000_000);
    let seen = machine.connect(Script { new_key: true, ..machine.script() });
    assert_eq!(seen.keys, [first.next()]);
    assert_eq!(machine.sealing().0, first.next());
}

#[test]
fn a_job_that_comes_twice_is_done_once_and_answered_twice() {
    let machine = Machine::enrolled();
    let job = machine.job(1, "abce1234");
    let seen = machine.deliver(vec![job.clone(), job.clone()]);
    assert_eq!(seen.reports[0], seen.reports[1]);
    let shadow = machine.shadow();
    let again = machine.deliver(vec![job]);
    assert_eq!(again.reports[0], seen.reports[0]);
    assert_eq!(machine.shadow(), shadow);
}

#[test]
fn a_report_is_sent_again_until_it_is_acknowledged() {
    let machine = Machine::enrolled();
    let jobs = vec![machine.job(1, "abce1234")];
    let first =
        machine.connect(Script { jobs, reports: 1, acknowledge: false, ..machine.script() });
    let second = machine.connect(Script { reports: 1, ..machine.script() });
    assert_eq!(second.reports, first.reports);
    let third = machine.connect(machine.script());
    assert!(third.reports.is_empty());
}

#[test]
fn an_earlier_job_is_refused_after_a_later_one_and_the_highest_is_told() {
    let machine = Machine::enrolled();
    machine.deliver(vec![machine.job(7, "abce1234")]);
    let seen = machine.deliver(vec![machine.job(3, "older123"), machine.job(7, "same1234")]);
    assert_eq!(seen.hello.unwrap().highest_sequence.get(), 7);
    assert_eq!(seen.reports[0].verdict(), Verdict::NotApplied(Reason::StaleSequence));
    assert!(machine.root_has("abce1234"));
}

#[test]
fn a_late_job_is_refused_and_a_wrong_clock_is_named() {
    let machine = Machine::enrolled();
    let issued = machine.now() - Span::from_secs(61);
    let late = machine.deployment.job(1, "abce1234", machine.sealing(), issued);
    assert_eq!(reasons(&machine.deliver(vec![late])), [Reason::Expired]);
    machine.clock.ahead.set(3_600_000_000);
    let in_time = machine.job(2, "abce1234");
    assert_eq!(reasons(&machine.deliver(vec![in_time])), [Reason::ClockWrong]);
    assert_eq!(machine.shadow(), SHADOW);
}

#[test]
fn a_dead_clock_does_not_keep_a_machine_from_its_job() {
    let machine = Machine::enrolled();
    machine.clock.ahead.set(-1_000_000_000_000_000);
    let seen = machine.deliver(vec![machine.job(1, "abce1234")]);
    assert!(machine.root_has("abce1234"));
    assert!(seen.reports[0].at >= machine.now() - Span::from_secs(120));
}

#[test]
fn whatever_a_job_says_otherwise_than_it_was_sealed_is_refused() {
    let machine = Machine::enrolled();
    let changes: [fn(&mut JobFrame); 5] = [
        |job| job.not_after = job.not_after + Span::from_secs(1),
        |job| job.issued_at = job.issued_at + Span::from_secs(1),
        |job| job.sealed.ciphertext[0] ^= 1,
        |job| job.sealed.enc[0] ^= 1,
        |job| job.sequence = job.sequence.next(job.issued_at),
    ];
    let jobs = (1..).zip(changes).map(|(number, change)| {
        let mut job = machine.job(number, "abce1234");
        change(&mut job);
        job
    });
    let seen = machine.deliver(jobs.collect());
    assert_eq!(reasons(&seen), [Reason::SealInvalid; 5]);
    assert_eq!(machine.shadow(), SHADOW);
    assert_eq!(machine.state().jobs.highest.get(), 0, "a forged job raises nothing");
}

#[test]
fn forged_jobs_push_nothing_out_of_the_record() {
    let machine = Machine::enrolled();
    let done = machine.job(100, "abce1234");
    let first = machine.deliver(vec![done.clone()]);
    let forged = (101..=200).map(|number| {
        let mut job = machine.job(number, "evil1234");
        job.sealed.ciphertext[0] ^= 1;
        job
    });
    let jobs = forged.chain([done]).collect();
    let seen = machine.connect(Script { jobs, reports: 65, ..machine.script() });
    assert_eq!(reasons_of(&seen.reports[..64]), [Reason::SealInvalid; 64]);
    assert_eq!(seen.reports[64], first.reports[0], "answered from the record");
}

#[test]
fn a_job_from_before_so_many_others_is_not_said_to_be_undone() {
    let machine = Machine::enrolled();
    let first = machine.job(1, "abce1234");
    machine.deliver(vec![first.clone()]);
    let late = |number| {
        let issued = machine.now() - Span::from_secs(61);
        machine.deployment.job(number, "late1234", machine.sealing(), issued)
    };
    machine.deliver((2..=70).map(late).collect());
    assert_eq!(reasons(&machine.deliver(vec![first])), [Reason::Forgotten]);
}

#[test]
fn a_job_of_an_unknown_kind_authority_or_key_is_refused_with_its_reason() {
    let machine = Machine::enrolled();
    let mut kind = machine.job(1, "abce1234");
    kind.verb = 99;
    let mut key = machine.job(2, "abce1234");
    key.sealing_generation = key.sealing_generation.next();
    let other = crate::deployment::Deployment {
        id: machine.deployment.id,
        ..crate::deployment::Deployment::new()
    };
    let authority = other.job(3, "abce1234", machine.sealing(), machine.now());
    let seen = machine.deliver(vec![kind, key, authority]);
    let expected = [Reason::UnsupportedJob, Reason::SealingKeyGone, Reason::AuthorityUnknown];
    assert_eq!(reasons(&seen), expected);
}

#[test]
fn an_expired_statement_stops_jobs_and_not_the_connection() {
    let machine = Machine::enrolled();
    let mut statement = machine.deployment.statement(2, machine.now());
    statement.valid_until = machine.now() - Span::from_secs(1);
    let statement = machine.deployment.signed(&statement);
    let jobs = vec![machine.job(1, "abce1234")];
    let seen = machine.connect(Script { statement, jobs, reports: 1, ..machine.script() });
    assert_eq!(reasons(&seen), [Reason::StatementExpired]);
}

#[test]
fn a_failure_on_disk_is_reported_with_its_reason() {
    let machine = Machine::enrolled();
    std::fs::write(machine.tree.path().join("etc/shadow"), "daemon:*:1::::::\n").unwrap();
    let seen = machine.deliver(vec![machine.job(1, "abce1234")]);
    assert_eq!(reasons(&seen), [Reason::NoRootEntry]);
}

#[test]
fn an_agent_that_cannot_write_its_state_does_not_begin() {
    let machine = Machine::enrolled();
    machine.connect(machine.script());
    let in_the_way = machine.tree.path().join("var/lib/opencpm-agent/state.new/x");
    std::fs::create_dir_all(in_the_way).unwrap();
    let seen = machine.deliver(vec![machine.job(1, "abce1234")]);
    assert_eq!(reasons(&seen), [Reason::StateUnwritable]);
    assert_eq!(machine.shadow(), SHADOW);
}
