//! Becoming a device, and whose state it is.

use opencpm_agent::agent::StartError;
use opencpm_agent::enrol::EnrolError;

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
    let mut surroundings = machine.surroundings(&mut rng);
    let directory = machine.directory();
    let again = opencpm_agent::enrol::enrol(&mut surroundings, &directory, &token, None, false);
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
