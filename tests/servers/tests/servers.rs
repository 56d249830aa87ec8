//! The servers do what tests expect of them.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use opencpm_servers::{Postgres, RabbitMq};

#[test]
fn a_database_survives_the_kill_of_its_server() {
    let mut server = Postgres::start();
    server.create_database("one", None);
    server.sql("one", "CREATE TABLE kept (what text); INSERT INTO kept VALUES ('this')");
    server.kill();
    server.start_again();
    server.create_database("two", Some("one"));
    assert_eq!(server.sql("two", "SELECT what FROM kept"), "this");
    server.stop();
    server.start_again();
    assert_eq!(server.sql("one", "SELECT what FROM kept"), "this");
}

#[test]
fn a_broker_is_controlled_and_comes_back_after_a_kill() {
    let mut broker = RabbitMq::start();
    broker.control(&["add_vhost", "kept"]);
    broker.kill();
    broker.start_again();
    let hosts = broker.control(&["list_vhosts", "--no-table-headers"]);
    assert!(hosts.lines().any(|host| host == "kept"), "{hosts}");
}

/// Set for the copy of this test that is killed.
const VICTIM: &str = "OPENCPM_SERVERS_VICTIM";

#[test]
fn nothing_is_left_of_servers_when_their_process_is_killed() {
    if std::env::var_os(VICTIM).is_some() {
        println!("{}\n{}", Postgres::shared().port(), RabbitMq::shared().port());
        std::thread::park();
    }
    let this = std::env::current_exe().unwrap();
    let name = "nothing_is_left_of_servers_when_their_process_is_killed";
    let mut victim = Command::new(this)
        .args(["--exact", name, "--nocapture"])
        .env(VICTIM, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let said = std::io::BufReader::new(victim.stdout.take().unwrap());
    let ports: Vec<u16> = std::io::BufRead::lines(said)
        .filter_map(|line| line.unwrap().trim().parse().ok())
        .take(2)
        .collect();
    assert_eq!(ports.len(), 2);
    victim.kill().unwrap();
    victim.wait().unwrap();
    let begin = Instant::now();
    let is_there = |port: &u16| std::net::TcpStream::connect(("127.0.0.1", *port)).is_ok();
    while ports.iter().any(is_there) {
        assert!(begin.elapsed() < Duration::from_secs(60), "a server goes on: {ports:?}");
        std::thread::park_timeout(Duration::from_millis(50));
    }
}
