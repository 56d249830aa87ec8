//! Clients and machines through the shipped load balancer.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use opencpm_tests::haproxy::{Addresses, Haproxy, Server, Servers};
use opencpm_tests::{Marker, Scheme, Service, Site, binaries, eventually, without_settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::node::Node;

/// A real node, one that only counts, and the proxy in front of both.
struct Front {
    at: Addresses,
    proxy: Haproxy,
    site: Site,
    other: Node,
}

impl Front {
    /// The other node is not ready, and the proxy knows it. One machine is connected, through the
    /// proxy, because that is the only address that it was told.
    fn start() -> Self {
        let at = Addresses::take();
        let service = Service::start_behind(&at.agents);
        let other = Node::start();
        let here = |at: &String| Server { at: at.clone(), metrics: service.metrics.clone() };
        let there = |at: &String| Server { at: at.clone(), metrics: other.metrics.clone() };
        let agents = [here(&service.agents), there(&other.agents)];
        let servers = Servers {
            api: [here(&service.https), there(&other.api)],
            enrolment: agents.clone(),
            gateways: agents,
        };
        let mut proxy = Haproxy::start(&at, &servers);
        for down in ["api/api-2", "gateways/gateway-2"] {
            proxy.says(&format!("Server {down} is DOWN"));
        }
        let site = Site::around(service, &[Scheme::Sha512]);
        Self { at, proxy, site, other }
    }

    /// Asks with the command line, over TLS and through the proxy. Returns the exit code.
    fn ask(&self, arguments: &[&str], input: &str) -> Option<i32> {
        let mut command = Command::new(binaries::opencpm());
        without_settings(&mut command);
        command.arg("--profile").arg(self.site.service.profile());
        command.arg("--endpoint").arg(format!("https://{}", self.at.api)).args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("opencpm");
        let mut stdin = child.stdin.take().expect("piped");
        // A command that needs no input may be gone before it is written.
        drop(stdin.write_all(input.as_bytes()));
        drop(stdin);
        child.wait_with_output().expect("it ends").status.code()
    }
}

#[test]
fn machines_and_clients_get_through_and_the_proxy_logs_no_query() {
    let mut front = Front::start();
    let instance = front.site.machines[0].instance.clone();
    let before = front.other.connections();
    let reset = ["reset-password", "--instance", &instance];
    assert_eq!(front.ask(&reset, "Through!1\n"), Some(0));
    assert!(front.site.machines[0].has("Through!1"));

    let fields = [("instanceIds.0", &*instance), ("passwd", Marker::PASSWORD)];
    let query = front.site.client.signed_form("GET", "ResetDevicePasswd", &fields, "4711");
    let host = front.site.service.http().trim_start_matches("http://").to_owned();
    let ca = front.site.service.folder().join("ca.pem");
    let head = format!("GET /v2/index.php?{query} HTTP/1.1\r\nHost: {host}\r\nConnection: close");
    let answer = over_tls(&front.at.api, &ca, &head);
    assert!(answer.contains("\"taskId\""), "{answer}");
    front.site.eventually("the second password", Site::LONGEST, |site| {
        site.machines[0].has(Marker::PASSWORD).then_some(())
    });

    front.proxy.says(" api api/api-1 ");
    let log = front.proxy.log();
    let marker = Marker::new(Marker::PASSWORD);
    assert_eq!(marker.forms_in(log.as_bytes()), [""; 0], "{log}");
    for marker in ["passwd", "index.php", "?"] {
        assert!(!log.contains(marker), "{marker}: {log}");
    }
    assert_eq!(front.other.connections(), before, "it was not ready all the while");
}

#[test]
fn a_node_gets_new_connections_while_it_is_ready_and_no_others() {
    let mut front = Front::start();
    assert_eq!(front.other.connections(), 0);
    front.other.ready.store(true, Ordering::SeqCst);
    eventually("connections to the node that is ready", Duration::from_secs(30), || {
        // The other node ends each connection at once: no answer, and no matter.
        drop(std::net::TcpStream::connect(&front.at.api).expect("the proxy is there"));
        (front.other.connections() > 0).then_some(())
    });
    front.proxy.says("Server api/api-2 is UP");
    front.other.ready.store(false, Ordering::SeqCst);
    let both_down = |log: &str| log.matches("Server api/api-2 is DOWN").count() == 2;
    eventually("the proxy sees it", Duration::from_secs(30), || {
        both_down(&front.proxy.log()).then_some(())
    });
    let before = front.other.connections();
    for _ in 0..20 {
        assert_eq!(front.ask(&["device", "list"], ""), Some(0));
    }
    assert_eq!(front.other.connections(), before);
}

#[test]
fn with_no_node_ready_clients_still_hear_an_answer_from_one_that_lives() {
    let mut front = Front::start();
    front.other.alive.store(false, Ordering::SeqCst);
    front.proxy.says("Server api_last_resort/api-2 is DOWN");
    // Its store takes no changes.
    let hold = front.site.database().hold();
    front.proxy.says("Server api/api-1 is DOWN");
    assert_eq!(front.ask(&["device", "list"], ""), Some(0));
    let refused = front.ask(&["maintenance", "on"], "");
    // 14: the service cannot do it now (9001).
    assert_eq!(refused, Some(14));
    drop(hold);
    front.proxy.says("Server api/api-1 is UP");
    assert_eq!(front.ask(&["maintenance", "on"], ""), Some(0));
}

/// A node is not ready while the broker is away, and takes machines in all the same.
#[test]
fn with_no_node_ready_machines_still_reach_one_that_lives() {
    let mut front = Front::start();
    let hold = front.site.database().hold();
    for down in ["gateways/gateway-1", "enrolment/api-1"] {
        front.proxy.says(&format!("Server {down} is DOWN"));
    }
    let ways = [front.at.agents.clone(), front.at.enrolment.clone()];
    for (way, last) in ways.iter().zip(["gateways_last_resort", "enrolment_last_resort"]) {
        let before = front.other.connections();
        eventually(last, Duration::from_secs(30), || {
            drop(std::net::TcpStream::connect(way).expect("the proxy is there"));
            (front.other.connections() > before).then_some(())
        });
    }
    // One that says of itself that it is broken is not among them.
    front.other.alive.store(false, Ordering::SeqCst);
    for down in ["gateways_last_resort/gateway-2", "enrolment_last_resort/api-2"] {
        front.proxy.says(&format!("Server {down} is DOWN"));
    }
    drop(hold);
}

/// Sends the head of a request over TLS that only this authority vouches for, and returns all that
/// comes back.
fn over_tls(address: &str, ca: &Path, head: &str) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(ca).expect("ca.pem")).expect("an authority");
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("127.0.0.1").expect("a name");
        let stream = TcpStream::connect(address).await.expect("the proxy is there");
        let connector = TlsConnector::from(Arc::new(config));
        let mut stream = connector.connect(name, stream).await.expect("the service's certificate");
        stream.write_all(format!("{head}\r\n\r\n").as_bytes()).await.expect("it is taken");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        answer
    })
}
