//! HAProxy with the configuration that we ship, on other addresses.

use std::net::UdpSocket;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opencpm_tests::{Process, eventually, free_port, mortal};
use tempfile::TempDir;

/// What stands behind it.
pub(crate) struct Backend<'a> {
    pub(crate) api: &'a str,
    pub(crate) agents: &'a str,
    pub(crate) metrics: &'a str,
}

/// Where it will listen; known before it starts, because machines are told.
pub(crate) struct Addresses {
    pub(crate) api: String,
    pub(crate) agents: String,
    pub(crate) enrolment: String,
}

impl Addresses {
    pub(crate) fn take() -> Self {
        let [api, agents, enrolment] = [(); 3].map(|()| format!("127.0.0.1:{}", free_port()));
        Self { api, agents, enrolment }
    }
}

/// A running proxy; it ends with the test.
pub(crate) struct Haproxy {
    process: Process,
    log: Arc<Mutex<String>>,
    _dir: TempDir,
}

impl Haproxy {
    /// Starts it with the shipped file. Only addresses are replaced, and what needs a system of
    /// its own: the log's socket, the folder that becomes its root, and how many connections.
    pub(crate) fn start(at: &Addresses, backends: [Backend<'_>; 2]) -> Self {
        let (log, log_address) = collect();
        let mut text = crate::shipped("haproxy.cfg");
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
        for (number, backend) in (1..).zip(&backends) {
            let port = backend.metrics.rsplit(':').next().expect("a port");
            let from =
                |ip: u8, port: u16| format!("192.0.2.{}:{port} check port 9090", ip + number);
            replace(&from(10, 8443), &format!("{} check port {port}", backend.api));
            replace(&from(10, 8444), &format!("{} check port {port}", backend.agents));
            replace(&from(20, 8444), &format!("{} check port {port}", backend.agents));
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

    /// Waits for a line of its log that holds this.
    pub(crate) fn says(&mut self, words: &str) {
        eventually(words, Duration::from_secs(30), || {
            assert!(self.process.is_running(), "it ended: {}", self.process.said());
            self.log().contains(words).then_some(())
        });
    }

    /// All that it logged.
    pub(crate) fn log(&self) -> String {
        self.log.lock().expect("no panic").clone()
    }
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
