//! Becoming a device, and whose state it is.

use opencpm_agent::agent::StartError;
use opencpm_agent::enrol::EnrolError;
use opencpm_domain::{Generation, Span, Verdict};

use crate::deployment::instance;
use crate::gateway::{Enrolment, Script};
use crate::machine::Machine;

#[test]
fn an_enrolled_machine_connects_as_its_device() {
    let machine = Machine::new();
    assert!(matches!(machine.run(), Err(StartError::NotEnrolled)));
    let (seen, enrolled) = machine.enrol(machine.script());
    assert_eq!(enrolled.unwrap(), instance());
    let seen_again = machine.connect(machine.script());
    let (request, hello) = (seen.request.unwrap(), seen_again.hello.unwrap());
    assert_eq!(hello.instance, instance());
    assert_eq!(hello.facts.machine, request.facts.machine);
    assert_eq!(hello.statement_generation.get(), 1);
}

#[test]
fn an_answer_that_got_lost_does_not_make_a_second_device() {
    let machine = Machine::new();
    let lost = Script { enrolment: Enrolment::Forget, ..machine.script() };
    let (first, failed) = machine.enrol(lost);
    assert!(matches!(failed, Err(EnrolError::Failed { .. })));
    let (second, enrolled) = machine.enrol(machine.script());
    enrolled.unwrap();
    assert_eq!(first.request.unwrap().identity, second.request.unwrap().identity);
}

#[test]
fn a_refused_token_is_told_and_leaves_the_machine_as_it_was() {
    let machine = Machine::new();
    let (_, refused) = machine.enrol(Script { enrolment: Enrolment::Refuse, ..machine.script() });
    let Err(EnrolError::Failed { source, .. }) = refused else { panic!() };
    assert!(source.to_string().contains("token"), "{source}");
    assert!(matches!(machine.run(), Err(StartError::NotEnrolled)));
}

#[test]
fn an_enrolled_machine_does_not_become_another_device_by_mistake() {
    let machine = Machine::enrolled();
    let token = machine.deployment.token(1);
    let mut rng = crate::machine::rng();
    let (surroundings, directory) = (machine.surroundings(&mut rng), machine.directory());
    let again = opencpm_agent::enrol::enrol(surroundings, directory, &token, None, false);
    assert!(matches!(again, Err(EnrolError::AlreadyEnrolled(id)) if id == instance()));
}

#[test]
fn a_copied_state_stops_the_agent_and_says_what_to_do() {
    let machine = Machine::enrolled();
    let id = machine.tree.path().join("etc/machine-id");
    std::fs::write(id, "ffffffffffffffff0000000000000000\n").unwrap();
    let stopped = machine.run().unwrap_err();
    assert!(matches!(stopped, StartError::ClonedIdentity(_)));
    let text = stopped.to_string();
    assert!(text.contains("cloned_identity") && text.contains("token"), "{text}");
}

#[test]
fn what_a_device_did_before_it_was_enrolled_again_is_still_reported() {
    let machine = Machine::enrolled();
    let former = machine.identity();
    let jobs = vec![machine.job(1, "abce1234")];
    let told = machine.connect(Script {
        jobs: jobs.clone(),
        reports: 1,
        acknowledge: false,
        ..machine.script()
    });
    machine.enrol_again();
    let script = || Script { former: Some(former), ..machine.script() };
    let first = machine.connect(Script { reports: 1, ..script() });
    assert_eq!(first.reports, told.reports, "signed with the former key, as it was");
    assert_eq!(first.hello.unwrap().highest_sequence.get(), 1);
    let again = machine.connect(Script { jobs, reports: 1, ..script() });
    assert_eq!(again.reports, told.reports, "answered from the record");
}

#[test]
fn a_crash_before_the_device_was_enrolled_again_is_reported_with_the_former_key() {
    let machine = Machine::enrolled();
    let former = machine.identity();
    crate::crashes::crash(&machine, false);
    machine.enrol_again();
    let script = Script { former: Some(former), reports: 1, ..machine.script() };
    let report = machine.connect(script).reports.remove(0);
    assert_eq!(report.identity_generation, Generation::FIRST);
    assert!(matches!(report.verdict(), Verdict::Applied { .. }));
}

#[test]
fn a_former_reports_sealing_key_is_not_taken_for_the_present_one() {
    let machine = Machine::enrolled();
    let former = machine.identity();
    let jobs = vec![machine.job(1, "abce1234")];
    machine.connect(Script { jobs, reports: 1, acknowledge: false, ..machine.script() });
    machine.enrol_again();
    let script = || Script { former: Some(former), ..machine.script() };
    // Generation 2 of the present key is made, and nobody has acknowledged it.
    let (first, jobs) = (machine.sealing(), vec![machine.job(2, "abce1234")]);
    machine.connect(Script { jobs, reports: 2, acknowledge: false, ..script() });
    // The former report, which names the former generation 2, is acknowledged alone.
    machine.connect(Script { reports: 1, sealing_generation: first.0, ..script() });
    machine.clock.later.set(machine.clock.later.get() + 86_400_000_000);
    machine.connect(Script { sealing_generation: first.0, ..script() });
    let identity = machine.state();
    assert!(identity.sealing.key(first.0).is_some(), "the server still seals to it");
}

#[test]
fn an_enrolment_that_was_completed_and_not_tidied_up_lends_its_key_to_no_other() {
    let machine = Machine::new();
    let pending = machine.tree.path().join("var/lib/opencpm-agent/enrolling");
    machine.enrol(Script { enrolment: Enrolment::Forget, ..machine.script() }).1.unwrap_err();
    let left = std::fs::read(&pending).unwrap();
    machine.enrol(machine.script()).1.unwrap();
    let first = machine.identity();
    std::fs::write(&pending, left).unwrap();
    machine.enrol_again();
    assert_ne!(machine.identity(), first);
}

#[test]
fn enrolling_again_is_the_way_out_of_a_time_far_ahead() {
    let machine = Machine::enrolled();
    let far = machine.now() + Span::from_secs(40 * 365 * 86_400);
    let job = machine.deployment.job(1, "abce1234", machine.sealing(), far);
    machine.deliver(vec![job]);
    assert!(machine.state().time.unwrap().at >= far);
    machine.enrol_again();
    assert!(machine.state().time.unwrap().at < far);
    machine.connect(machine.script()).hello.unwrap();
}

#[test]
fn gateways_that_cannot_be_reached_do_not_strand_a_machine() {
    let machine = Machine::enrolled();
    // A port that nobody listens on, and what is no address at all.
    let gateways = vec!["127.0.0.1:1".to_owned(), "no address".to_owned()];
    machine.connect(Script { gateways, ..machine.script() });
    assert_eq!(machine.state().identity.gateways, ["127.0.0.1:1"]);
    let back = machine.connect(machine.script());
    assert_eq!(back.hello.unwrap().instance, instance());
}

#[test]
fn enrolling_again_does_not_bring_an_old_statement_back() {
    let machine = Machine::enrolled();
    let newer = machine.deployment.signed(&machine.deployment.statement(2, machine.now()));
    machine.connect(Script { statement: newer, ..machine.script() });
    let (_, refused) = machine.enrol_with_own_token(machine.script());
    assert!(matches!(refused, Err(EnrolError::Failed { .. })), "{refused:?}");
    assert_eq!(machine.state().identity.generation, Generation::FIRST);
}
