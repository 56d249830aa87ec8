//! A client at work: its program runs, takes orders and tells what the client returned.

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use opencpm_tests::{binaries, mortal};
use serde::Deserialize;
use serde_json::Value;

use crate::client::{Client, Runtime};

/// A running client.
pub(crate) struct Session {
    /// Which release it says it is.
    pub(crate) version: String,
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    log: PathBuf,
}

/// What the client's program says of an order.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Said {
    /// What the client returned.
    Answer(Value),
    /// The error as the client tells it.
    Refused(Refusal),
    /// Neither: the client, or its program here, does not work.
    Broken(String),
}

/// An error as a client tells it.
#[derive(Debug, Deserialize)]
pub(crate) struct Refusal {
    /// A number in API 2.0, a text in 3.0.
    pub(crate) code: Value,
    /// `codeDesc`, in 2.0.
    pub(crate) name: Option<String>,
    pub(crate) message: String,
    /// In 3.0.
    pub(crate) request_id: Option<String>,
}

#[derive(Deserialize)]
struct Hello {
    version: String,
}

/// Where a session finds the certificate and, for a fixed host, the proxy.
pub(crate) struct Surroundings<'a> {
    pub(crate) ca: &'a Path,
    pub(crate) proxy: Option<String>,
    /// Its home, its log: everything that it may leave behind.
    pub(crate) scratch: &'a Path,
}

/// Whether the client was installed.
pub(crate) fn is_installed(client: &Client) -> bool {
    installed(client).exists()
}

impl Session {
    /// Starts the client's program.
    pub(crate) fn start(client: &Client, around: &Surroundings<'_>) -> Self {
        let log = around.scratch.join(format!("{}.log", client.name));
        let mut command = command(client);
        for (name, value) in environment(around) {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        command.stderr(File::create(&log).expect("a log"));
        let mut child = command.spawn().expect("the client's program starts");
        let orders = child.stdin.take().expect("its standard input");
        let answers = BufReader::new(child.stdout.take().expect("its standard output"));
        let mut session = Self { version: String::new(), child, orders, answers, log };
        let hello: Hello = session.line();
        session.version = hello.version;
        session
    }

    /// Has the client do an order, and returns what it returned, or its error.
    pub(crate) fn order(&mut self, order: &Value) -> Result<Value, Refusal> {
        writeln!(self.orders, "{order}").expect("the client's program takes orders");
        match self.line() {
            Said::Answer(answer) => Ok(answer),
            Said::Refused(refusal) => Err(refusal),
            Said::Broken(why) => panic!("the client does not work: {why}"),
        }
    }

    fn line<T: for<'a> Deserialize<'a>>(&mut self) -> T {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("the client's program answers");
        serde_json::from_str(&line).unwrap_or_else(|error| {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            panic!("the client's program said {line:?} ({error}): {log}")
        })
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn installed(client: &Client) -> PathBuf {
    binaries::clients().join(client.name)
}

fn command(client: &Client) -> Command {
    let sources = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/clients"));
    let (installed, source) = (installed(client), sources.join(client.name));
    match client.runtime {
        Runtime::Python => {
            let mut python = mortal(installed.join("bin/python"));
            python.arg(source.join("client.py")).env("PYTHONPATH", sources);
            // What is compiled stays out of the sources.
            python.env("PYTHONPYCACHEPREFIX", installed.join("compiled"));
            python
        }
        Runtime::Node => {
            let mut node = mortal("node");
            node.arg(source.join("client.js")).env("NODE_PATH", installed.join("node_modules"));
            node
        }
    }
}

/// Variables that are set, and those of this machine that would lead a client elsewhere.
fn environment(around: &Surroundings<'_>) -> Vec<(&'static str, Option<OsString>)> {
    let ca = || Some(around.ca.into());
    let mut all = vec![
        ("HOME", Some(around.scratch.into())),
        ("SSL_CERT_FILE", ca()),
        ("NODE_EXTRA_CA_CERTS", ca()),
        ("HTTPS_PROXY", around.proxy.clone().map(OsString::from)),
    ];
    let others = ["https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];
    all.extend(others.map(|name| (name, None)));
    all
}
