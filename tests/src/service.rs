//! A service of its own, `opencpm serve`, for machines that are not a lab's.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::{Client, binaries, eventually, mortal};

/// The account that its first start makes.
const ACCOUNT: u64 = 1_251_000_001;

/// A running service; it ends with the test.
pub struct Service {
    child: Child,
    dir: TempDir,
    http: String,
}

impl Service {
    /// Starts one that agents know by this name, and by no other, and waits until it answers.
    pub fn start(name: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("service").tempdir().expect("a directory");
        let [https, http, agents] = free_ports();
        let configuration = dir.path().join("opencpm.toml");
        let text = format!(
            "dir = {:?}\n[api]\nlisten = \"127.0.0.1:{https}\"\nhttp = \"127.0.0.1:{http}\"\n\
             names = [\"{name}\"]\n[agents]\nlisten = \"127.0.0.1:{agents}\"\n\
             addresses = [\"{name}:{agents}\"]\n[first]\napp_id = {ACCOUNT}\n",
            dir.path().join("service")
        );
        std::fs::write(&configuration, text).expect("a configuration");
        let log = std::fs::File::create(dir.path().join("service.log")).expect("a log");
        let mut command = mortal(binaries::opencpm());
        without_settings(&mut command);
        command.arg("serve").arg("--config").arg(&configuration);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let child = command.spawn().expect("the service starts");
        let mut service = Self { child, dir, http: format!("http://127.0.0.1:{http}") };
        eventually("the service", Duration::from_secs(60), || service.answers().then_some(()));
        service
    }

    /// A client with the administrator's key.
    pub fn client(&self) -> Client {
        let profile = std::fs::read_to_string(self.profile()).expect("the administrator's key");
        let value = |key: &str| {
            let line = profile.lines().find(|line| line.split([' ', '=']).next() == Some(key));
            line.and_then(|line| line.split('"').nth(1)).expect(key)
        };
        Client::new(&self.http, value("secret_id"), value("secret_key"))
    }

    /// An enrolment token for one machine, made by the command that administrators use.
    pub fn enrolment_token(&self) -> String {
        let mut command = Command::new(binaries::opencpm());
        without_settings(&mut command);
        command.args(["--endpoint", &self.http, "--profile"]).arg(self.profile());
        command.args(["enrol-token", "create", "--out", "-", "--app-id", &ACCOUNT.to_string()]);
        let output = command.output().expect("opencpm");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    /// What the service said on standard error.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("service.log")).unwrap_or_default()
    }

    fn answers(&mut self) -> bool {
        if let Some(status) = self.child.try_wait().expect("its state") {
            panic!("the service ended with {status}: {}", self.log());
        }
        // The key is there before anybody listens.
        self.profile().exists() && self.client().try_call("DescribeDevice", &[]).is_ok()
    }

    fn profile(&self) -> PathBuf {
        Path::new(self.dir.path()).join("service/admin.toml")
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Takes away what the environment says to the tests, and what the tester's own says to `opencpm`:
/// it reads every variable with its prefix as a setting.
fn without_settings(command: &mut Command) {
    let names = std::env::vars_os().map(|(name, _)| name);
    for name in names.filter(|name| name.as_encoded_bytes().starts_with(b"OPENCPM_")) {
        command.env_remove(name);
    }
}

/// Nobody else takes them before the service does but by a rare accident.
fn free_ports() -> [u16; 3] {
    let taken = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    taken.map(|listener| listener.local_addr().expect("its address").port())
}
