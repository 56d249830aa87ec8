//! A password goes through a load balancer, several nodes, a database and a broker that all log
//! what they can, and is found nowhere but as a hash in the shadow files.

use std::io::Write as _;
use std::time::Duration;

use opencpm_servers::Stranger;
use opencpm_tests::haproxy::{Addresses, Haproxy};
use opencpm_tests::wire::{Tc3, escaped, exchange};
use opencpm_tests::{Client, Marker, Nodes, NodesOptions, eventually, fresh_nonce, unix_time};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(40);

#[test]
fn a_password_leaves_no_trace_in_any_log_or_file_of_nodes_database_and_broker() {
    let nodes = start();
    let at = Addresses::take();
    let mut proxy = Haproxy::in_front_of(&nodes, &at);
    let [one, other] = [0, 1].map(|number| nodes.api[number].authority());
    for (door, get) in [(&one, false), (&other, true), (&at.api, false), (&at.api, true)] {
        a_reset_in_both_dialects(&nodes, door, get);
        refusals_in_both_dialects(&nodes, door, get);
    }
    a_reset_that_fails(&nodes);
    nodes.postgres.sql("opencpm", "CHECKPOINT");
    let marker = Marker::new(Marker::PASSWORD);
    let seen = traces(&nodes, &marker);
    assert!(seen.is_empty(), "found in {seen:#?}");
    the_load_balancer_tells_nothing(&mut proxy, &marker);
    it_would_have_been_found(&nodes);
}

fn start() -> Nodes {
    let postgres = &[
        ("log_statement", "all"),
        ("log_min_messages", "debug2"),
        ("log_min_error_statement", "debug2"),
        ("log_min_duration_statement", "0"),
        ("log_parameter_max_length", "-1"),
        ("log_parameter_max_length_on_error", "-1"),
        ("wal_level", "logical"),
    ];
    let options = NodesOptions { postgres, log: Some("trace"), ..NodesOptions::default() };
    let nodes = Nodes::start_with(2, options);
    nodes.rabbit.control(&["set_log_level", "debug"]);
    nodes
}

fn a_reset_in_both_dialects(nodes: &Nodes, door: &str, get: bool) {
    for ask in [v2, v3] {
        let task = ask(nodes, door, get, nodes.instances()[0], Marker::PASSWORD, true);
        let task = ["taskId", "TaskId"].into_iter().find_map(|name| found(&task, name));
        let task = task.expect("accepted").as_u64().expect("a number");
        let data = nodes.client(usize::from(!get)).wait(task, LIMIT);
        assert_eq!(data["status"], 1, "{data}\n{}", nodes.said());
        assert!(nodes.machines[0].has(Marker::PASSWORD));
    }
}

/// No such device, a wrong signature, and a password that is too weak but tells most of it.
fn refusals_in_both_dialects(nodes: &Nodes, door: &str, get: bool) {
    // Each holds the marker, and none is allowed: a space, a letter beyond ASCII, too long.
    let weak = [" ", "é", "Mk7#q&Zx!2^Wv@%Mk7#q&Zx!2^Wv@%"]
        .map(|more| format!("{}{more}", Marker::PASSWORD));
    for ask in [v2, v3] {
        let asked = |instance: &str, password: &str, signed: bool| {
            let answer = ask(nodes, door, get, instance, password, signed);
            let task = ["taskId", "TaskId"].into_iter().find_map(|name| found(&answer, name));
            assert!(task.is_none(), "accepted: {answer}");
        };
        asked("cpm-nosuchone", Marker::PASSWORD, true);
        asked(nodes.instances()[0], Marker::PASSWORD, false);
        weak.iter().for_each(|weak| asked(nodes.instances()[0], weak, true));
        // Where a device's name is expected.
        asked(Marker::PASSWORD, Marker::PASSWORD, true);
    }
}

/// The machine opens it and then cannot use it.
fn a_reset_that_fails(nodes: &Nodes) {
    let shadow = nodes.machines[1].root.join("etc/shadow");
    let text = std::fs::read_to_string(&shadow).expect("a shadow file");
    let root = text.lines().find(|line| line.starts_with("root:")).expect("root's line");
    std::fs::write(&shadow, format!("{text}{root}\n")).expect("a shadow file");
    let task = nodes.client(0).reset(&[nodes.instances()[1]], Marker::PASSWORD).expect("accepted");
    let data = nodes.client(1).wait(task, LIMIT);
    let reason = data["instanceIds"][0]["reason"].as_str().expect("a reason");
    assert!(reason.starts_with("duplicate_root_entry"), "{data}");
}

/// API 2.0; the whole answer.
fn v2(nodes: &Nodes, door: &str, get: bool, device: &str, password: &str, signed: bool) -> Value {
    let (secret_id, secret_key) = nodes.key();
    let client = Client::new(&format!("http://{door}"), secret_id, secret_key);
    let method = if get { "GET" } else { "POST" };
    let fields = [("instanceIds.0", device), ("passwd", password)];
    let mut form = client.signed_form(method, "ResetDevicePasswd", &fields, &fresh_nonce());
    if !signed {
        form = form.replacen("Timestamp=", "Timestamp=1", 1);
    }
    if get { client.get(&form) } else { client.post(&form) }.expect("an answer")
}

/// API 3.0; the whole answer.
fn v3(nodes: &Nodes, door: &str, get: bool, device: &str, password: &str, signed: bool) -> Value {
    let method = if get { "GET" } else { "POST" };
    let action = "ResetDevicePassword";
    let mut request = Tc3::new(method, door, nodes.key(), action, unix_time());
    request.payload = if get {
        format!("InstanceIds.0={}&Password={}", escaped(device), escaped(password))
    } else {
        json!({ "InstanceIds": [device], "Password": password }).to_string()
    };
    if !signed {
        "another key".clone_into(&mut request.secret_key);
    }
    let reply = exchange(door, &request.message().bytes()).expect("an answer");
    serde_json::from_str(&reply.body).expect("JSON")
}

/// A field of the answer, wherever its dialect has it.
fn found(answer: &Value, name: &str) -> Option<Value> {
    ["data", "Response"].iter().find_map(|part| answer[part].get(name).cloned())
}

/// It logged a line for each connection, as the shipped configuration has it.
fn the_load_balancer_tells_nothing(proxy: &mut Haproxy, marker: &Marker) {
    [" api api/api-1 ", " api api/api-2 "].iter().for_each(|words| proxy.says(words));
    let log = proxy.log();
    assert_eq!(marker.forms_in(log.as_bytes()), [""; 0], "{log}");
}

/// Everything that anybody of the deployment wrote.
fn traces(nodes: &Nodes, marker: &Marker) -> Vec<String> {
    let folders = [nodes.folder(), nodes.postgres.data(), nodes.rabbit.data()];
    let mut all: Vec<_> = folders.iter().flat_map(|folder| marker.traces(folder)).collect();
    for (name, log) in [("PostgreSQL", nodes.postgres.log()), ("RabbitMQ", nodes.rabbit.log())] {
        let forms = marker.forms_in(log.as_bytes()).into_iter();
        all.extend(forms.map(|form| format!("log of {name}: {form}")));
    }
    all
}

/// Another text is put where the password must not be, the way that it would have come there.
fn it_would_have_been_found(nodes: &Nodes) {
    let planted = Marker::new("Pl4nt#&d!2^Wv@%");
    let text = planted.text();
    let sql = format!("CREATE TABLE planted AS SELECT '{text}'::text AS password; CHECKPOINT");
    nodes.postgres.sql("opencpm", &sql);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let stranger = Stranger::at(&nodes.rabbit).await;
        let id = |what: &str| {
            let sql = format!("SELECT encode(id, 'hex') FROM {what} LIMIT 1");
            nodes.postgres.sql("opencpm", &sql)
        };
        // What a gateway cannot read is put aside.
        stranger.publish(id("deployment"), &id("gateway"), text.as_bytes()).await;
    });
    let logs = ["api-1.log", "api-2.log", "gateway-1.log", "gateway-2.log", "machine-0.log"];
    for log in logs {
        let path = nodes.folder().join(log);
        assert!(path.metadata().is_ok_and(|log| log.len() > 0), "{log} is empty");
        let mut log = std::fs::OpenOptions::new().append(true).open(path).expect("a log");
        writeln!(log, "a line with {}", escaped(text)).expect("a log");
    }
    std::fs::write(nodes.folder().join("machine-0/etc/shadow-"), text).expect("a file");
    let database = nodes.postgres.data().join("base").display().to_string();
    let write_ahead = nodes.postgres.data().join("pg_wal").display().to_string();
    let broker = nodes.rabbit.data().join("data").display().to_string();
    let mut places = vec![database.as_str(), &write_ahead, &broker, "log of PostgreSQL"];
    places.extend(logs.iter().chain(&["machine-0/etc/shadow-"]));
    eventually("every planted text is found", LIMIT, || {
        let seen = traces(nodes, &planted);
        places.iter().all(|place| seen.iter().any(|seen| seen.contains(place))).then_some(())
    });
}
