//! A service of its own, `opencpm serve`, for machines that are not a lab's.

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::port::free_port;
use crate::{Client, Process, binaries, eventually, mortal};

/// The account that its first start makes.
pub(crate) const ACCOUNT: u64 = 1_251_000_001;

/// Where the service keeps everything, below the directory of the test.
const FOLDER: &str = "service";

/// Its configuration, in the directory of the test.
const CONFIGURATION: &str = "opencpm.toml";

/// A running service; it ends with the test.
pub struct Service {
    /// `opencpm serve`.
    pub process: Process,
    dir: TempDir,
    http: String,
    /// Where the API over TLS is, as `address:port`.
    pub https: String,
    /// Where agents connect.
    pub agents: String,
    /// Where load balancers ask how it is.
    pub metrics: String,
}

impl Service {
    /// Starts one that agents know by this name, and by no other, and waits until it answers.
    pub fn start(name: &str) -> Self {
        Self::start_with_deadline(name, Self::DEADLINE)
    }

    /// The same; a job ends so long after it was accepted.
    pub fn start_with_deadline(name: &str, deadline: Duration) -> Self {
        let mut service = Self::begin(name, deadline);
        service.answers();
        service
    }

    /// The same, with more in its configuration.
    pub fn start_configured(name: &str, more: &str) -> Self {
        let mut service = Self::begin_with(name, None, Self::DEADLINE, more);
        service.answers();
        service
    }

    /// Starts one whose machines are told that it is at this `address:port`, and waits until it
    /// answers.
    pub fn start_behind(address: &str) -> Self {
        let mut service = Self::begin_with("127.0.0.1", Some(address), Self::DEADLINE, "");
        service.answers();
        service
    }

    /// The same, without waiting for anything.
    pub fn begin(name: &str, deadline: Duration) -> Self {
        Self::begin_with(name, None, deadline, "")
    }

    /// Unless a test says otherwise.
    const DEADLINE: Duration = Duration::from_secs(120);

    fn begin_with(name: &str, told: Option<&str>, deadline: Duration, more: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("service").tempdir().expect("a directory");
        let [https, http, agents, metrics] = [(); 4].map(|()| free_port());
        let told = told.map_or_else(|| format!("{name}:{agents}"), str::to_owned);
        let configuration = dir.path().join(CONFIGURATION);
        let text = format!(
            "dir = {:?}\n[api]\nlisten = \"127.0.0.1:{https}\"\nhttp = \"127.0.0.1:{http}\"\n\
             names = [\"{name}\"]\njob_deadline = {}\n[agents]\nlisten = \"127.0.0.1:{agents}\"\n\
             addresses = [\"{told}\"]\n[metrics]\nlisten = \"127.0.0.1:{metrics}\"\n\
             [first]\napp_id = {ACCOUNT}\n{more}",
            dir.path().join(FOLDER),
            deadline.as_secs(),
        );
        std::fs::write(&configuration, text).expect("a configuration");
        let process = Process::start(dir.path().join("service.log"), move || {
            let mut command = mortal(binaries::opencpm());
            without_settings(&mut command);
            command.arg("serve").arg("--config").arg(&configuration);
            command
        });
        let [https, agents, metrics] = [https, agents, metrics].map(|p| format!("127.0.0.1:{p}"));
        Self { process, dir, http: format!("http://127.0.0.1:{http}"), https, agents, metrics }
    }

    /// Waits until it answers the administrator's key. Panics when it ends instead.
    pub fn answers(&mut self) {
        eventually("the service", Duration::from_secs(60), || {
            assert!(self.process.is_running(), "the service ended: {}", self.log());
            // The key is there before anybody listens; it may be that of a start that was killed.
            let asks = || self.client().try_call("DescribeDevice", &[]).ok();
            let answer = self.profile().exists().then(asks).flatten()?;
            (answer["code"] == 0).then_some(())
        });
    }

    /// A client with the administrator's key.
    pub fn client(&self) -> Client {
        let (secret_id, secret_key) = self.key();
        Client::new(&self.http, &secret_id, &secret_key)
    }

    /// The address of the API over plain HTTP.
    pub fn http(&self) -> &str {
        &self.http
    }

    /// What a load balancer is told at this path: status and text. `None` while nobody answers.
    pub fn probe(&self, path: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(&self.metrics).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.metrics).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    }

    /// Both halves of the administrator's key.
    pub fn key(&self) -> (String, String) {
        key_in(&self.profile())
    }

    /// An enrolment token for so many machines, made by the command that administrators use.
    pub fn enrolment_token(&self, machines: usize) -> String {
        enrolment_token(&self.http, &self.profile(), machines)
    }

    /// Adds to its configuration, which is read at its next start.
    pub fn configure(&self, more: &str) {
        let file = OpenOptions::new().append(true).open(self.dir.path().join(CONFIGURATION));
        file.and_then(|mut file| file.write_all(more.as_bytes())).expect("its configuration");
    }

    /// `opencpm` with these arguments and its configuration.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binaries::opencpm());
        without_settings(&mut command);
        command.args(arguments).arg("--config").arg(self.dir.path().join(CONFIGURATION));
        command
    }

    /// What the service said.
    pub fn log(&self) -> String {
        self.process.said()
    }

    /// Where the service keeps everything.
    pub fn folder(&self) -> PathBuf {
        self.dir.path().join(FOLDER)
    }

    /// The administrator's profile.
    pub fn profile(&self) -> PathBuf {
        self.folder().join("admin.toml")
    }
}

/// Both halves of the key in a profile that a first start wrote.
pub fn key_in(profile: &Path) -> (String, String) {
    let profile = std::fs::read_to_string(profile).expect("the administrator's key");
    let value = |key: &str| {
        let line = profile.lines().find(|line| line.split([' ', '=']).next() == Some(key));
        line.and_then(|line| line.split('"').nth(1)).expect(key).to_owned()
    };
    (value("secret_id"), value("secret_key"))
}

/// An enrolment token for so many machines, made by the command that administrators use.
pub(crate) fn enrolment_token(http: &str, profile: &Path, machines: usize) -> String {
    let mut command = Command::new(binaries::opencpm());
    without_settings(&mut command);
    command.args(["--endpoint", http, "--profile"]).arg(profile);
    command.args(["enrol-token", "create", "--out", "-", "--app-id", &ACCOUNT.to_string()]);
    command.args(["--uses", &machines.to_string()]);
    let output = command.output().expect("opencpm");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// Takes away what the environment says to the tests, and what the tester's own says to `opencpm`:
/// it reads every variable with its prefix as a setting.
pub fn without_settings(command: &mut Command) {
    let names = std::env::vars_os().map(|(name, _)| name);
    for name in names.filter(|name| name.as_encoded_bytes().starts_with(b"OPENCPM_")) {
        command.env_remove(name);
    }
}
