use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use crate::daemon::{Daemon, Plan, mortal};
use crate::place::{Place, free_port};

/// The broker's one user.
const USER: &str = "opencpm";
/// Its password.
const PASSWORD: &str = "broker-of-a-test";
/// Where Debian keeps the programs without their wrappers, which insist on a user of their own.
const PROGRAMS: &str = "/usr/lib/rabbitmq/bin";

/// A RabbitMQ broker: one node, with a port mapper of its own.
pub struct RabbitMq {
    daemon: Daemon,
    /// Erlang's names of nodes: without our own one, the first broker would leave one behind that
    /// all later ones share.
    _port_mapper: Daemon,
    node: Node,
    place: Place,
}

/// What the broker and the programs that speak to it have in common.
#[derive(Clone)]
struct Node {
    folder: PathBuf,
    port: u16,
    distribution: u16,
    port_mapper: u16,
}

impl RabbitMq {
    /// The broker that all tests of this process share.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<RabbitMq> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// A broker of one's own. Returns when it takes connections.
    pub fn start() -> Self {
        let place = Place::new();
        place.file(
            "rabbitmq.conf",
            &format!(
                "default_user = {USER}\ndefault_pass = {PASSWORD}\nlog.console = true\n\
                 log.file = false\nlog.console.level = info\n"
            ),
        );
        place.file("plugins", "[].\n");
        let [port, distribution, port_mapper] = [free_port(), free_port(), free_port()];
        let folder = place.path().to_owned();
        let node = Node { folder, port, distribution, port_mapper };
        let mapper = Daemon::start(Plan {
            name: "epmd",
            log: place.path().join("epmd.log"),
            command: Box::new(move || {
                let mut command = mortal("epmd", None);
                command.args(["-port", &port_mapper.to_string(), "-address", "127.0.0.1"]);
                command
            }),
            // The broker asks until it does.
            answers: Box::new(|| true),
        });
        let started = node.clone();
        let daemon = Daemon::start(Plan {
            name: "RabbitMQ",
            log: place.path().join("log"),
            command: Box::new(move || started.command("rabbitmq-server")),
            answers: Box::new(move || speaks_amqp(port)),
        });
        Self { daemon, _port_mapper: mapper, node, place }
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.node.port
    }

    /// Where its files are.
    pub fn data(&self) -> &Path {
        self.place.path()
    }

    /// The name of its user.
    pub fn user(&self) -> &'static str {
        USER
    }

    /// The user's password.
    pub fn password(&self) -> &'static str {
        PASSWORD
    }

    /// Its address, without the password: the default virtual host.
    pub fn url(&self) -> String {
        format!("amqp://{USER}@127.0.0.1:{}/%2f", self.node.port)
    }

    /// Runs `rabbitmqctl` and returns what it says. Panics when it fails.
    pub fn control(&self, arguments: &[&str]) -> String {
        let mut control = self.node.command("rabbitmqctl");
        let output = control.arg("--quiet").args(arguments).stdin(Stdio::null()).output();
        let output = output.expect("rabbitmqctl starts");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let wrong = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}{wrong}");
        said
    }
}

/// A broker is its process.
impl Deref for RabbitMq {
    type Target = Daemon;

    fn deref(&self) -> &Daemon {
        &self.daemon
    }
}

impl DerefMut for RabbitMq {
    fn deref_mut(&mut self) -> &mut Daemon {
        &mut self.daemon
    }
}

impl Node {
    fn command(&self, program: &str) -> Command {
        let mut command = mortal(Path::new(PROGRAMS).join(program), None);
        let file = |name: &str| self.folder.join(name);
        command.env("HOME", &self.folder).current_dir(&self.folder);
        command.env("RABBITMQ_NODENAME", format!("opencpm-{}@localhost", self.port));
        command.env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1");
        command.env("RABBITMQ_NODE_PORT", self.port.to_string());
        command.env("RABBITMQ_DIST_PORT", self.distribution.to_string());
        command.env("ERL_EPMD_PORT", self.port_mapper.to_string());
        command.env("ERL_EPMD_ADDRESS", "127.0.0.1");
        command.env("RABBITMQ_MNESIA_BASE", file("data"));
        command.env("RABBITMQ_LOG_BASE", file("logs"));
        command.env("RABBITMQ_CONFIG_FILE", file("rabbitmq.conf"));
        command.env("RABBITMQ_ENABLED_PLUGINS_FILE", file("plugins"));
        command.env("RABBITMQ_PID_FILE", file("pid"));
        command.env("RABBITMQ_CONF_ENV_FILE", file("no-such-file"));
        // Then the script becomes the broker instead of waiting for it, and dies as one.
        command.env("RUNNING_UNDER_SYSTEMD", "true");
        // One thread, and it sleeps when there is nothing to do: the test needs the processors.
        command.env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "+S 1:1 +sbwt none");
        command
    }
}

/// A broker answers the protocol's header with a method frame (AMQP 0-9-1, 4.2.2).
fn speaks_amqp(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    let limit = Some(Duration::from_secs(5));
    let mut first = [0];
    stream.set_read_timeout(limit).is_ok()
        && stream.write_all(b"AMQP\x00\x00\x09\x01").is_ok()
        && stream.read_exact(&mut first).is_ok()
        && first == [1]
}
