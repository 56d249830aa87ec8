//! A machine with nothing but the static agent, and what a reset needs.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use opencpm_tests::{binaries, mortal};
use tempfile::TempDir;

/// A root directory without a C library, a shell, or anything of the kernel's.
pub(crate) struct EmptyMachine {
    root: TempDir,
    agent: Option<Child>,
}

impl EmptyMachine {
    /// Lays the root out: the agent, its state's directory, and `etc`.
    pub(crate) fn new(hosts: &str, resolv_conf: &str) -> Self {
        assert!(rustix::process::geteuid().is_root(), "chroot needs root");
        let root = tempfile::Builder::new().prefix("empty").tempdir().expect("a root directory");
        let write = |path: &str, text: &str| {
            fs::write(root.path().join(path), text).expect("a file of the machine");
        };
        fs::create_dir(root.path().join("etc")).expect("etc");
        fs::create_dir_all(root.path().join("var/lib")).expect("the state's place");
        write("etc/machine-id", "5f0c6d3b8a1e4c7d9b2a6e8f1d3c5b7a\n");
        write("etc/shadow", "root:*:19700:0:99999:7:::\ndaemon:*:19700:0:99999:7:::\n");
        write("etc/hosts", hosts);
        write("etc/resolv.conf", resolv_conf);
        write("etc/nsswitch.conf", "hosts: nosuchmodule\n");
        // By another process: a program that this one still writes while another test forks could
        // not be started.
        let mut copy = Command::new("cp");
        copy.arg(binaries::static_agent()).arg(root.path().join("opencpm-agent"));
        assert!(copy.status().expect("cp").success());
        Self { root, agent: None }
    }

    /// Its root directory.
    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }

    /// Makes it a device and returns which.
    pub(crate) fn enrol(&self, token: &str) -> String {
        fs::write(self.root().join("token"), token).expect("the token");
        let output = self.command("enroll").args(["--token-file", "/token"]).output();
        let output = output.expect("chroot");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let said = String::from_utf8(output.stdout).expect("text");
        let device = said.split_whitespace().find(|word| word.starts_with("cpm-"));
        device.expect("the device's id").to_owned()
    }

    /// Starts the agent.
    pub(crate) fn run(&mut self) {
        let log = fs::File::create(self.root().join("log")).expect("a log");
        let mut command = self.command("run");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.agent = Some(command.spawn().expect("chroot"));
    }

    /// What the agent said.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.root().join("log")).unwrap_or_default()
    }

    /// One of the agent's commands, with this root as `/` and no environment.
    fn command(&self, name: &str) -> Command {
        let mut command = mortal("chroot");
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.arg(self.root()).args(["/opencpm-agent", name]);
        command
    }
}

impl Drop for EmptyMachine {
    fn drop(&mut self) {
        if let Some(mut agent) = self.agent.take() {
            drop(agent.kill());
            drop(agent.wait());
        }
    }
}
