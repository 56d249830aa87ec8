//! The servers do what tests expect of them.

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
