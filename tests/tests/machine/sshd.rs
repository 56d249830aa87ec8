//! A real sshd on a scratch root's `/etc`.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use opencpm_tests::{eventually, mortal};
use tempfile::TempDir;

/// A loopback address of its own.
const ADDRESS: &str = "127.9.8.7:0";

/// OpenSSH's server in namespaces of its own, with the scratch root's `etc` over `/etc`.
pub(crate) struct Sshd {
    init: Child,
    address: SocketAddr,
    files: TempDir,
}

/// How a login ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Login {
    /// What the shell said: host name and user id.
    Succeeded(String),
    /// The password was not accepted.
    Refused,
}

impl Login {
    /// As root, in the machine and not around it.
    pub(crate) fn as_root() -> Self {
        Self::Succeeded("machine-under-test\n0\n".to_owned())
    }
}

impl Sshd {
    /// Boots it on the root as it is now, and waits until it listens.
    pub(crate) fn boot(root: &Path) -> Self {
        assert!(rustix::process::geteuid().is_root(), "namespaces and sshd need root");
        let files = tempfile::tempdir().expect("a scratch directory");
        // Nobody listens there between this and sshd's start but by a rare accident.
        let address = TcpListener::bind(ADDRESS).and_then(|free| free.local_addr());
        let address = address.expect("a free port");
        write_configuration(files.path(), address);
        let log = fs::File::create(files.path().join("log")).expect("a log");
        let mut command = mortal("unshare");
        command.args(["--mount", "--uts", "--pid", "--fork", "--kill-child", "sh"]);
        command.arg(script("boot.sh")).arg(root.join("etc")).arg(files.path().join("sshd_config"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let init = command.spawn().expect("unshare, which every Debian has");
        let mut sshd = Self { init, address, files };
        eventually("sshd's greeting", Duration::from_secs(20), || sshd.greets().then_some(()));
        sshd
    }

    /// Logs in as root with a password.
    pub(crate) fn login(&self, password: &str) -> Login {
        let secret = self.files.path().join("password");
        let mut options = fs::OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(&secret);
        file.and_then(|mut file| file.write_all(password.as_bytes())).expect("a secret");
        let known = self.files.path().join("known_hosts");
        let mut ssh = Command::new("timeout");
        ssh.args(["60", "ssh", "-F", "/dev/null", "-p", &self.address.port().to_string()]);
        ssh.args(["-o", &format!("UserKnownHostsFile={}", known.display())]);
        for option in CLIENT_OPTIONS {
            ssh.args(["-o", option]);
        }
        ssh.arg(format!("root@{}", self.address.ip()));
        ssh.arg("cat /proc/sys/kernel/hostname; id -u");
        ssh.env("SSH_ASKPASS_REQUIRE", "force").env("SSH_ASKPASS", script("askpass.sh"));
        ssh.env("ASKPASS_FILE", secret).stdin(Stdio::null());
        let output = ssh.output().expect("ssh");
        let complaint = String::from_utf8_lossy(&output.stderr);
        if output.status.success() {
            Login::Succeeded(String::from_utf8(output.stdout).expect("text"))
        } else if complaint.contains("Permission denied (password)") {
            Login::Refused
        } else {
            panic!("no answer to the password: {}\n{complaint}\n{}", output.status, self.log());
        }
    }

    fn greets(&mut self) -> bool {
        if let Some(status) = self.init.try_wait().expect("its state") {
            panic!("the machine ended with {status}: {}", self.log());
        }
        let mut greeting = [0; 4];
        let read = TcpStream::connect(self.address).and_then(|mut stream| {
            stream.set_read_timeout(Some(Duration::from_secs(10)))?;
            stream.read_exact(&mut greeting)
        });
        read.is_ok() && &greeting == b"SSH-"
    }

    fn log(&self) -> String {
        fs::read_to_string(self.files.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        // With it goes the machine's first process, and with that the namespaces.
        drop(self.init.kill());
        drop(self.init.wait());
    }
}

/// Only the server that we started is spoken to, and only with a password.
const CLIENT_OPTIONS: [&str; 6] = [
    "StrictHostKeyChecking=yes",
    "GlobalKnownHostsFile=/dev/null",
    "PreferredAuthentications=password",
    "NumberOfPasswordPrompts=1",
    "ConnectTimeout=20",
    "LogLevel=ERROR",
];

fn write_configuration(folder: &Path, address: SocketAddr) {
    let key = folder.join("host_key");
    let mut keygen = Command::new("ssh-keygen");
    keygen.args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"]).arg(&key);
    assert!(keygen.status().expect("ssh-keygen").success());
    let public = fs::read_to_string(key.with_extension("pub")).expect("a public key");
    let known = format!("[{}]:{} {public}", address.ip(), address.port());
    fs::write(folder.join("known_hosts"), known).expect("known hosts");
    let configuration = format!(
        "ListenAddress {address}\nHostKey {}\nPidFile none\nUsePAM yes\nPermitRootLogin yes\n\
         PasswordAuthentication yes\nKbdInteractiveAuthentication no\nPubkeyAuthentication no\n\
         UseDNS no\nPrintLastLog no\n",
        key.display()
    );
    fs::write(folder.join("sshd_config"), configuration).expect("a configuration");
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/machine").join(name)
}
