//! Nodes are replaced one by one while clients ask through the shipped load balancer.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use opencpm_tests::cluster::Node;
use opencpm_tests::haproxy::{Addresses, Haproxy};
use opencpm_tests::{Client, Nodes, NodesOptions, Until, binaries, eventually};
use serde_json::Value;

/// Each has machines of its own.
const CLIENTS: usize = 3;

/// What a client did.
#[derive(Default)]
struct Story {
    requests: usize,
    tasks: usize,
    /// Requests that were not answered as they should be.
    failures: Vec<String>,
    /// What its machines have in the end.
    password: String,
}

/// A restart of every node. With `OPENCPM_BEFORE` the nodes run that program at first, and it is
/// an upgrade: the schema first, then node after node, so that both versions run side by side.
#[test]
fn nodes_are_replaced_one_by_one_and_no_request_fails() {
    let now = binaries::opencpm();
    let before = std::env::var_os("OPENCPM_BEFORE").map_or_else(|| now.clone(), PathBuf::from);
    let options = NodesOptions { binary: Some(&before), ..NodesOptions::default() };
    let mut nodes = Nodes::start_with(2 * CLIENTS, options);
    let at = Addresses::take();
    let mut proxy = Haproxy::in_front_of(&nodes, &at);
    nodes.upgrade(&now);
    let stories = while_clients_ask(&mut nodes, &at, |nodes| {
        for number in 0..2 {
            replace(&mut nodes.api[number], "api", &mut proxy);
            replace(&mut nodes.gateways[number], "gateways", &mut proxy);
        }
    });
    for (number, story) in stories.iter().enumerate() {
        assert!(story.failures.is_empty(), "{:#?}\n{}", story.failures, nodes.said());
        assert!(story.tasks > 2, "client {number} had {} tasks", story.tasks);
        let machines = &nodes.machines[2 * number..2 * number + 2];
        assert!(machines.iter().all(|machine| machine.has(&story.password)));
    }
    let sum = |of: fn(&Story) -> usize| stories.iter().map(of).sum::<usize>();
    println!("{} requests, {} tasks, none failed", sum(|it| it.requests), sum(|it| it.tasks));
}

/// Requests on their way to a node that is killed get no answer, and only these.
#[test]
fn a_killed_node_costs_each_client_at_most_the_request_under_way() {
    let mut nodes = Nodes::start(2 * CLIENTS);
    let at = Addresses::take();
    let mut proxy = Haproxy::in_front_of(&nodes, &at);
    let stories = while_clients_ask(&mut nodes, &at, |nodes| {
        nodes.api[0].process.kill();
        proxy.says_again("Server api/api-1 is DOWN", 0);
        nodes.api[0].process.tend();
        proxy.says_again("Server api/api-1 is UP", 0);
    });
    let failures: Vec<_> = stories.iter().flat_map(|story| &story.failures).collect();
    assert!(stories.iter().all(|story| story.failures.len() <= 1), "{failures:#?}");
    assert!(failures.iter().all(|failure| failure.contains("no answer")), "{failures:#?}");
    println!("{} requests under way got no answer", failures.len());
}

/// Returns when the load balancer knows that it is back.
fn replace(node: &mut Node, backend: &str, proxy: &mut Haproxy) {
    let up = format!("Server {backend}/{} is UP", node.name);
    let before = proxy.times(&up);
    node.restart();
    proxy.says_again(&up, before);
}

/// Does something to the nodes while every client sets its machines' password again and again.
fn while_clients_ask(
    nodes: &mut Nodes,
    at: &Addresses,
    act: impl FnOnce(&mut Nodes),
) -> Vec<Story> {
    let instances: Vec<_> = nodes.instances().into_iter().map(str::to_owned).collect();
    let (secret_id, secret_key) = nodes.key();
    let client = Client::new(&format!("http://{}", at.api), secret_id, secret_key);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let (over, client) = (&over, &client);
        let clients: Vec<_> = (instances.chunks(2).enumerate())
            .map(|(number, own)| scope.spawn(move || ask(client, number, own, over)))
            .collect();
        let until = Until(over);
        act(nodes);
        drop(until);
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    })
}

fn ask(client: &Client, number: usize, machines: &[String], over: &AtomicBool) -> Story {
    let mut story = Story::default();
    while !over.load(Ordering::Relaxed) {
        let password = format!("Roll#{number}x{}", story.tasks);
        let fields = [
            ("instanceIds.0", machines[0].as_str()),
            ("instanceIds.1", machines[1].as_str()),
            ("passwd", password.as_str()),
        ];
        let accepted = story.call(client, "ResetDevicePasswd", &fields);
        let Some(task) = accepted.and_then(|data| data["taskId"].as_u64()) else { continue };
        let task = task.to_string();
        let ended = eventually("the end of a task", Duration::from_secs(60), || {
            let data = story.call(client, "DescriptionOperationResult", &[("taskId", &task)])?;
            data["status"].as_u64().filter(|status| status & 4 == 0)
        });
        if ended != 1 {
            story.failures.push(format!("task {task} ended with {ended}"));
        }
        story.tasks += 1;
        story.password = password;
    }
    story
}

impl Story {
    /// One request; what is not `data` is a failure.
    fn call(&mut self, client: &Client, action: &str, fields: &[(&str, &str)]) -> Option<Value> {
        self.requests += 1;
        match client.try_call(action, fields) {
            Ok(mut answer) if answer["code"] == 0 => return Some(answer["data"].take()),
            Ok(answer) => self.failures.push(format!("{action}: {answer}")),
            Err(error) => self.failures.push(format!("{action}: no answer, {error}")),
        }
        None
    }
}
