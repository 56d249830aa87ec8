//! Whom the agent believes.

use opencpm_protocol::statement::TlsAuthority;

use crate::deployment::{Deployment, Tls};
use crate::gateway::Script;
use crate::machine::Machine;

#[test]
fn a_server_with_an_unknown_chain_hears_nothing() {
    let machine = Machine::enrolled();
    let seen = machine.connect(Script { tls: Tls::new().config, ..machine.script() });
    assert_eq!(seen.frames, 0);
}

#[test]
fn new_certificates_under_a_newer_statement_are_taken_and_the_old_statement_no_more() {
    let machine = Machine::enrolled();
    let new = Tls::new();
    let mut newer = machine.deployment.statement(2, machine.now());
    newer.tls_authorities = vec![TlsAuthority(new.authority)];
    let statement = machine.deployment.signed(&newer);
    let seen = machine.connect(Script { statement, tls: new.config, ..machine.script() });
    assert_eq!(seen.hello.unwrap().statement_generation.get(), 2);
    let back = machine.connect(machine.script());
    assert_eq!(back.frames, 0, "generation 1 is below the highest");
}

#[test]
fn a_statement_of_another_root_key_is_not_believed() {
    let machine = Machine::enrolled();
    let other = Deployment::new();
    let statement = other.signed(&other.statement(5, machine.now()));
    let tls = other.tls.config.clone();
    let seen = machine.connect(Script { statement, tls, ..machine.script() });
    assert_eq!(seen.frames, 0);
    assert_eq!(machine.state().trust().unwrap().generation.get(), 1);
}

#[test]
fn a_statement_of_another_deployment_is_not_believed() {
    let machine = Machine::enrolled();
    let mut statement = machine.deployment.statement(2, machine.now());
    statement.deployment = opencpm_domain::DeploymentId::from_bytes([1; 16]);
    let statement = machine.deployment.signed(&statement);
    assert_eq!(machine.connect(Script { statement, ..machine.script() }).frames, 0);
}
