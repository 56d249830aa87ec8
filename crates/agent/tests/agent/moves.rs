//! A gateway goes away, and the agent goes to another one first.

use std::net::TcpListener;

use crate::gateway::{Script, serve, serve_both};
use crate::machine::Machine;

fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

#[test]
fn an_agent_is_welcome_elsewhere_before_it_leaves_and_takes_its_job_along() {
    let machine = Machine::enrolled();
    let (other, port) = listener();
    let gateways = vec![format!("127.0.0.1:{port}")];
    let jobs = vec![machine.job(1, "abce1234")];
    let both = Script { gateways, jobs, ..machine.script() };
    let here = serve(&machine.listener, Script { moves: Some(0), ..both.clone() });
    let there = serve(&other, Script { reports: 1, ..both.clone() });
    machine.run().unwrap();
    let (here, there) = (here.join().unwrap(), there.join().unwrap());
    assert!(here.reports.is_empty());
    assert_eq!(there.reports.len(), 1);
    assert!(machine.root_has("abce1234"));
    let expected = [("welcome", machine.port()), ("welcome", port), ("left", machine.port())];
    assert_eq!(*both.journal.lock().unwrap(), expected.map(|(what, at)| format!("{what} {at}")));
}

/// Where there is one address for all gateways, a load balancer's.
#[test]
fn an_agent_moves_to_the_gateways_address_before_it_tries_where_it_enrolled() {
    let mut machine = Machine::enrolled();
    let (balancer, port) = listener();
    // What the machine enrolled at takes no devices; it only counts.
    let reception = std::mem::replace(&mut machine.listener, listener().0);
    let told = Script { gateways: vec![format!("127.0.0.1:{port}")], ..machine.script() };
    serve(&reception, told.clone());
    machine.run().unwrap();
    reception.set_nonblocking(true).unwrap();
    let here = Script { moves: Some(0), ..told.clone() };
    let both = serve_both(balancer, [here, told]);
    machine.run().unwrap();
    assert!(both.join().unwrap().iter().all(|seen| seen.hello.is_some()));
    assert!(reception.accept().is_err(), "it was there");
}

#[test]
fn a_report_that_nobody_acknowledged_goes_along() {
    let machine = Machine::enrolled();
    let (other, port) = listener();
    let gateways = vec![format!("127.0.0.1:{port}")];
    let there = serve(&other, Script { reports: 1, ..machine.script() });
    let jobs = vec![machine.job(1, "abce1234")];
    let here = Script { gateways, jobs, moves: Some(1), reports: 2, ..machine.script() };
    let here = serve(&machine.listener, Script { acknowledge: false, ..here });
    machine.run().unwrap();
    let (here, there) = (here.join().unwrap(), there.join().unwrap());
    assert_eq!(here.reports.len(), 1);
    assert_eq!(there.reports, here.reports);
    assert!(machine.state().jobs.unacknowledged().is_empty());
}

#[test]
fn hellos_of_one_boot_can_be_put_in_order() {
    let machine = Machine::enrolled();
    let made = || {
        let hello = machine.connect(machine.script()).hello.unwrap();
        (hello.boot, hello.since_boot)
    };
    // The time since a boot that has no name is of no use.
    assert_eq!(made(), (String::new(), None));
    let random = machine.tree.path().join("proc/sys/kernel/random");
    std::fs::create_dir_all(&random).unwrap();
    std::fs::write(random.join("boot_id"), "boot-1\n").unwrap();
    let (other, port) = listener();
    let gateways = vec![format!("127.0.0.1:{port}")];
    let moves = Script { gateways, moves: Some(0), ..machine.script() };
    let here = serve(&machine.listener, moves);
    let there = serve(&other, machine.script());
    machine.run().unwrap();
    let [here, there] = [here, there].map(|seen| seen.join().unwrap().hello.unwrap());
    assert_eq!([here.boot, there.boot], ["boot-1"; 2]);
    assert!(here.since_boot.unwrap() < there.since_boot.unwrap());
}

#[test]
fn an_agent_that_no_other_gateway_takes_stays_and_serves() {
    let mut machine = Machine::enrolled();
    let jobs = vec![machine.job(1, "abce1234")];
    let script = Script { jobs, moves: Some(0), reports: 1, ..machine.script() };
    // The address that the agent knows takes one connection, and no other.
    let only = std::mem::replace(&mut machine.listener, listener().0);
    let here = serve(&only, script);
    drop(only);
    machine.run().unwrap();
    assert_eq!(here.join().unwrap().reports.len(), 1);
    assert!(machine.root_has("abce1234"));
}
