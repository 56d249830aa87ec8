//! What a user of two API nodes and two gateways relies on.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use opencpm_tests::{Nodes, eventually};

#[test]
fn a_deployment_of_several_nodes_is_one_service() {
    let mut nodes = Nodes::start(2);
    a_reset_at_any_node_reaches_the_machine(&nodes);
    a_request_is_used_once_at_whichever_node(&nodes);
    a_gateway_has_none_of_the_deployments_keys(&nodes);
    a_gateway_that_dies_costs_no_accepted_task(&mut nodes);
    what_is_away_is_told_and_heals(&mut nodes);
}

fn a_reset_at_any_node_reaches_the_machine(nodes: &Nodes) {
    for (node, password) in [(0, "First#node1"), (1, "Second#node2")] {
        let task = nodes.client(node).reset(&nodes.instances(), password).unwrap();
        // Asked at the other one.
        let data = nodes.client(1 - node).wait(task, Duration::from_secs(40));
        assert_eq!(data["status"], 1, "{data}\n{}", nodes.said());
        assert!(nodes.machines.iter().all(|machine| machine.has(password)));
    }
}

fn a_request_is_used_once_at_whichever_node(nodes: &Nodes) {
    let form = nodes.client(0).signed_form(
        "POST",
        "ResetDevicePasswd",
        &[("instanceIds.0", nodes.instances()[0]), ("passwd", "Only#once3")],
        "314159",
    );
    let first = nodes.client(0).post(&form).unwrap();
    assert_eq!(first["code"], 0, "{first}");
    let again = sent_on(&nodes.api[0].authority(), &nodes.api[1].authority(), &form);
    assert!(again.contains("\"code\":4500"), "{again}");
    let task = first["data"]["taskId"].as_u64().unwrap();
    assert_eq!(nodes.client(1).wait(task, Duration::from_secs(40))["status"], 1);
}

/// As a load balancer sends it on: the host is the one that the client signed.
fn sent_on(host: &str, node: &str, form: &str) -> String {
    let mut stream = TcpStream::connect(node).unwrap();
    write!(
        stream,
        "POST /v2/index.php HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn a_gateway_has_none_of_the_deployments_keys(nodes: &Nodes) {
    for gateway in &nodes.gateways {
        let files = std::fs::read_dir(&gateway.folder).unwrap();
        let mut names: Vec<_> =
            files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        assert_eq!(names, ["node.json", "node.key", "node.pem", "root.pub"]);
    }
}

/// The agents go to the other gateway and take what was accepted meanwhile along.
fn a_gateway_that_dies_costs_no_accepted_task(nodes: &mut Nodes) {
    nodes.gateways[0].process.kill();
    let password = "Other#gateway4";
    let task = eventually("a task is accepted", Duration::from_secs(90), || {
        nodes.client(0).try_reset(&nodes.instances(), password).unwrap().ok()
    });
    let data = nodes.client(1).wait(task, Duration::from_secs(40));
    assert_eq!(data["status"], 1, "{data}\n{}", nodes.said());
    assert!(nodes.machines.iter().all(|machine| machine.has(password)));
    nodes.gateways[0].process.tend();
}

/// 9005 and 9001 (contract 7.3): nothing is written, and it heals without a restart.
fn what_is_away_is_told_and_heals(nodes: &mut Nodes) {
    let tasks = |nodes: &Nodes| nodes.postgres.sql("opencpm", "SELECT count(*) FROM task");
    let before = tasks(nodes);
    let refused = |nodes: &Nodes, code: u64| {
        for node in 0..2 {
            let answer = nodes.client(node).try_reset(&nodes.instances(), "Never#set5").unwrap();
            assert_eq!(answer.unwrap_err()["code"], code, "{}", nodes.said());
        }
    };
    nodes.rabbit.kill();
    refused(nodes, 9005);
    nodes.rabbit.start_again();
    nodes.postgres.kill();
    refused(nodes, 9001);
    nodes.postgres.start_again();
    assert_eq!(tasks(nodes), before);
    // Each node notices for itself, and takes the next reset when the one before has ended.
    let password = |node: usize| format!("Healed#node{node}");
    let healed = [0, 1].map(|node| {
        eventually("it heals", Duration::from_secs(90), || {
            nodes.client(node).try_reset(&nodes.instances(), &password(node)).unwrap().ok()
        })
    });
    for task in healed {
        let data = nodes.client(1).wait(task, Duration::from_secs(40));
        assert_eq!(data["status"], 1, "{data}\n{}", nodes.said());
    }
    assert!(nodes.machines.iter().all(|machine| machine.has(&password(1))));
}
