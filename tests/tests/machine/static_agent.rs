//! The static agent needs nothing of the machine but its configuration.

use std::time::{Duration, Instant};

use opencpm_tests::{Service, eventually, root_hash, verifies};

use crate::empty_machine::EmptyMachine;
use crate::name_server::NameServer;

/// The only name in the server's certificate, and no name that the world knows (RFC 6761).
const SERVER: &str = "gate.opencpm.test";
const LIMIT: Duration = Duration::from_secs(40);

#[test]
fn in_an_empty_root_the_static_agent_finds_its_server_in_the_hosts_file() {
    let hosts = format!("127.0.0.1 localhost\n127.0.0.1 {SERVER}\n");
    // Nobody answers there.
    let machine = EmptyMachine::new(&hosts, "nameserver 127.9.8.1\noptions timeout:1\n");
    enrol_and_reset(machine);
}

#[test]
fn in_an_empty_root_the_static_agent_finds_its_server_by_dns() {
    let names = NameServer::start(SERVER);
    let resolv_conf = format!("nameserver {}\n", NameServer::ADDRESS);
    enrol_and_reset(EmptyMachine::new("127.0.0.1 localhost\n", &resolv_conf));
    assert!(names.answered() >= 2, "asked to enrol and to connect");
}

fn enrol_and_reset(mut machine: EmptyMachine) {
    let service = Service::start(SERVER);
    let device = machine.enrol(&service.enrolment_token(1));
    machine.run();
    let client = service.client();
    let start = Instant::now();
    let task = eventually("the connection of the agent", LIMIT, || {
        let answer = client.reset(&[&device], "N3w!pass@word");
        let said = || format!("{answer:?}\n{}\n{}", machine.log(), service.log());
        assert!(start.elapsed() < LIMIT, "still {}", said());
        answer.as_ref().ok().copied()
    });
    let data = client.wait(task, LIMIT);
    assert_eq!(data["status"], 1, "{data}\n{}", machine.log());
    assert!(verifies(&root_hash(machine.root()), "N3w!pass@word"));
}
