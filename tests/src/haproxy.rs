//! HAProxy with the configuration that we ship, on other addresses.

use std::net::{TcpStream, UdpSocket};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;

use crate::cluster::Node;
use crate::port::free_port;
use crate::{Nodes, Process, eventually, mortal};

/// A listener behind it.
#[derive(Clone, Debug)]
pub struct Server {
    /// As `address:port`.
    pub at: String,
    /// Where its node says how it is.
    pub metrics: String,
}

/// What stands behind it, in the order of the shipped file.
#[derive(Clone, Debug)]
pub struct Servers {
    /// The API, over TLS or not.
    pub api: [Server; 2],
    /// Where machines enrol and nodes join.
    pub enrolment: [Server; 2],
    /// Where agents connect.
    pub gateways: [Server; 2],
}

/// Where it will listen; known before it starts, because machines are told.
pub struct Addresses {
    /// For clients.
    pub api: String,
    /// For agents.
    pub agents: String,
    /// For machines that enrol.
    pub enrolment: String,
}

impl Addresses {
    /// Free ones.
    pub fn take() -> Self {
        let [api, agents, enrolment] = [(); 3].map(|()| format!("127.0.0.1:{}", free_port()));
        Self { api, agents, enrolment }
    }
}

/// A running proxy; it ends with the test.
pub struct Haproxy {
    process: Process,
    log: Arc<Mutex<String>>,
    _dir: TempDir,
}

impl Haproxy {
    /// Starts it with the shipped file. Only addresses are replaced, and what needs a system of
    /// its own: the log's socket, the folder that becomes its root, and how many connections.
    pub fn start(at: &Addresses, servers: &Servers) -> Self {
        let (log, log_address) = collect();
        let mut text = shipped("haproxy.cfg");
        let mut replace = |from: &str, to: &str| {
            assert!(text.contains(from), "{from:?} is not in the shipped file");
            text = text.replace(from, to);
        };
        replace("log /dev/log ", &format!("log {log_address} "));
        replace("    chroot /var/lib/haproxy\n    user haproxy\n    group haproxy\n", "");
        replace("maxconn 100000", "maxconn 1000");
        replace("bind :443\n", &format!("bind {}\n", at.api));
        replace("bind :8444\n", &format!("bind {}\n", at.agents));
        replace("bind :8445\n", &format!("bind {}\n", at.enrolment));
        let all = [(10, 8443, &servers.api), (10, 8444, &servers.enrolment)];
        for (net, listener, servers) in all.into_iter().chain([(20, 8444, &servers.gateways)]) {
            for (number, Server { at, metrics }) in (1..).zip(servers) {
                let port = metrics.rsplit(':').next().expect("a port");
                let from = format!("192.0.2.{}:{listener} check port 9090", net + number);
                replace(&from, &format!("{at} check port {port}"));
            }
        }
        let dir = TempDir::new().expect("a scratch directory");
        let file = dir.path().join("haproxy.cfg");
        std::fs::write(&file, text).expect("a scratch file");
        let process = Process::start(dir.path().join("haproxy.out"), move || {
            let mut command = mortal("haproxy");
            // Where Debian keeps it, for those who do not have it in their path.
            let path = std::env::var("PATH").unwrap_or_default();
            command.env("PATH", format!("{path}:/usr/sbin")).args(["-db", "-f"]).arg(&file);
            command
        });
        Self { process, log, _dir: dir }
    }

    /// The same before all nodes of a deployment, without TLS to the API. Returns when it listens.
    pub fn in_front_of(nodes: &Nodes, at: &Addresses) -> Self {
        let servers = |nodes: &[Node], listener: usize| {
            [0, 1].map(|number| {
                let listeners = nodes[number].listeners();
                Server { at: listeners[listener].clone(), metrics: listeners[2].clone() }
            })
        };
        let servers = Servers {
            api: servers(&nodes.api, 0),
            enrolment: servers(&nodes.api, 1),
            gateways: servers(&nodes.gateways, 1),
        };
        let proxy = Self::start(at, &servers);
        let limit = Duration::from_secs(30);
        eventually("the load balancer", limit, || TcpStream::connect(&at.api).ok());
        proxy
    }

    /// Waits for a line of its log that holds this.
    pub fn says(&mut self, words: &str) {
        eventually(words, Duration::from_secs(30), || {
            assert!(self.process.is_running(), "it ended: {}", self.process.said());
            self.log().contains(words).then_some(())
        });
    }

    /// Waits until its log holds this more than so many times.
    pub fn says_again(&mut self, words: &str, times: usize) {
        eventually(words, Duration::from_secs(30), || (self.times(words) > times).then_some(()));
    }

    /// How often its log holds this.
    pub fn times(&self, words: &str) -> usize {
        self.log().matches(words).count()
    }

    /// All that it logged.
    pub fn log(&self) -> String {
        self.log.lock().expect("no panic").clone()
    }
}

/// A file of the folder `deploy`.
pub fn shipped(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(name);
    std::fs::read_to_string(path).expect(name)
}

/// A place for log messages (RFC 5424 over UDP), which are kept.
fn collect() -> (Arc<Mutex<String>>, String) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let address = socket.local_addr().expect("a port").to_string();
    let log = Arc::new(Mutex::new(String::new()));
    let kept = Arc::clone(&log);
    std::thread::spawn(move || {
        let mut line = [0; 8192];
        while let Ok(length) = socket.recv(&mut line) {
            let mut kept = kept.lock().expect("no panic");
            kept.push_str(&String::from_utf8_lossy(&line[..length]));
            kept.push('\n');
        }
    });
    (log, address)
}
