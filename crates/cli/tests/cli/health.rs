//! What a load balancer relies on when it asks how the service is.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::support::Service;

/// A service that tells how it is, with this in its section.
fn service(outer: &tempfile::TempDir, more: &str) -> Service {
    let config = outer.path().join("opencpm.toml");
    let text = format!("[metrics]\nlisten = \"127.0.0.1:0\"\n{more}\n");
    std::fs::write(&config, text).unwrap();
    Service::start_with(&outer.path().join("data"), &config)
}

/// Status and body of an answer.
fn ask(address: &str, request: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    write!(stream, "{request} HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

fn wait_for(address: &str, path: &str, status: u16) -> String {
    let look = || {
        std::thread::park_timeout(Duration::from_millis(20));
        let (now, body) = ask(address, &format!("GET {path}"));
        (now == status).then_some(body)
    };
    (0..1_000).find_map(|_| look()).expect(path)
}

#[test]
fn a_service_that_serves_is_alive_and_ready() {
    let outer = tempfile::tempdir().unwrap();
    let service = service(&outer, "");
    let at = service.metrics();
    assert_eq!(ask(at, "GET /healthz"), (200, "alive\n".to_owned()));
    // The lease is taken a moment after the start.
    assert_eq!(wait_for(at, "/readyz", 200), "ready\n");
    assert_eq!(ask(at, "HEAD /readyz"), (200, String::new()));
    assert_eq!(ask(at, "GET /metrics").0, 404);
    assert_eq!(ask(at, "POST /readyz").0, 405);
    assert_eq!(service.stop().0, Some(0));
}

#[test]
fn a_service_that_is_about_to_end_says_so_before_it_refuses_anybody() {
    let outer = tempfile::tempdir().unwrap();
    let service = service(&outer, "notice = 60");
    let at = service.metrics().to_owned();
    wait_for(&at, "/readyz", 200);
    service.terminate();
    assert_eq!(wait_for(&at, "/readyz", 503), "not ready: draining\n");
    assert_eq!(ask(&at, "GET /healthz").0, 200);
    service.ask(&["account", "list"]).succeeds();
    // Whoever asks again does not want to wait.
    assert_eq!(service.stop().0, Some(0));
}

#[test]
fn a_prober_that_says_nothing_keeps_no_other_out() {
    let outer = tempfile::tempdir().unwrap();
    let service = service(&outer, "");
    let silent: Vec<_> = (0..300).map(|_| TcpStream::connect(service.metrics()).unwrap()).collect();
    assert_eq!(ask(service.metrics(), "GET /healthz").0, 200);
    drop(silent);
}
