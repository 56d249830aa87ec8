//! The system's packages that fuzzing is built with and end-to-end tests run against: installed where we may, named where
//! we may not.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::TestError;
use crate::command;

/// A Debian package and what shows that it is there.
struct Package {
    name: &'static str,
    shown_by: Sign,
}

enum Sign {
    /// A program in the path or among the system's.
    Program(&'static str),
    /// Modules of Python that it can import.
    Modules(&'static str),
}

const PACKAGES: [Package; 14] = [
    // Builds the fuzzer's own part.
    Package { name: "g++", shown_by: Sign::Program("c++") },
    // The new password is tried at a real login.
    Package { name: "openssh-server", shown_by: Sign::Program("sshd") },
    Package { name: "openssh-client", shown_by: Sign::Program("ssh") },
    // The other hands on the shadow file that the agent must get along with.
    Package { name: "passwd", shown_by: Sign::Program("chpasswd") },
    // Namespaces for the above.
    Package { name: "util-linux", shown_by: Sign::Program("unshare") },
    // Shows that the agent executes nothing.
    Package { name: "strace", shown_by: Sign::Program("strace") },
    // Run the published clients.
    Package { name: "python3", shown_by: Sign::Program("python3") },
    Package { name: "python3-venv", shown_by: Sign::Modules("venv, ensurepip") },
    Package { name: "nodejs", shown_by: Sign::Program("node") },
    Package { name: "npm", shown_by: Sign::Program("npm") },
    // What a deployment of several nodes stands on. The tests start servers of their own.
    Package { name: "postgresql", shown_by: Sign::Program("pg_lsclusters") },
    Package { name: "rabbitmq-server", shown_by: Sign::Program("rabbitmq-server") },
    Package { name: "haproxy", shown_by: Sign::Program("haproxy") },
    // Moves the clock of one node.
    Package { name: "faketime", shown_by: Sign::Program("faketime") },
];

/// Installs what is missing as root on a Debian system, else names it and goes on: the tests that
/// need it will say so.
pub(super) fn prepare() -> Result<(), TestError> {
    let missing = missing();
    if missing.is_empty() {
        println!("all there");
        return Ok(());
    }
    if !(rustix::process::geteuid().is_root() && Path::new("/etc/debian_version").exists()) {
        println!("missing, and only root on Debian gets them installed: {}", missing.join(" "));
        return Ok(());
    }
    let _no_services = ServicesStayDown::begin()?;
    command::succeed(apt_get().arg("update"))?;
    let install = ["install", "--yes", "--no-install-recommends"];
    Ok(command::succeed(apt_get().args(install).args(missing))?)
}

fn missing() -> Vec<&'static str> {
    PACKAGES.iter().filter(|package| !package.shown_by.is_there()).map(|it| it.name).collect()
}

impl Sign {
    fn is_there(&self) -> bool {
        match self {
            Self::Program(name) => folders().any(|folder| folder.join(name).is_file()),
            Self::Modules(names) => {
                command::works(Command::new("python3").args(["-c", &format!("import {names}")]))
            }
        }
    }
}

/// The path, and where Debian keeps what only root runs.
fn folders() -> impl Iterator<Item = PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path: Vec<_> = std::env::split_paths(&path).collect();
    path.into_iter().chain(["/usr/sbin".into(), "/sbin".into()])
}

fn apt_get() -> Command {
    let mut apt = Command::new("apt-get");
    apt.arg("--quiet").env("DEBIAN_FRONTEND", "noninteractive");
    apt
}

/// While it lives, packages that are installed do not start their services: the tests need sshd's
/// program, not an open port. A policy that is already there is left as it is.
struct ServicesStayDown {
    ours: bool,
}

impl ServicesStayDown {
    /// Asked by Debian's maintainer scripts before every action on a service; 101 forbids it
    /// (invoke-rc.d(8)).
    const PATH: &str = "/usr/sbin/policy-rc.d";
    const POLICY: &str = "#!/bin/sh\n# Placed by OpenCPM's `cargo xtask test`.\nexit 101\n";

    fn begin() -> Result<Self, TestError> {
        let mut options = fs::OpenOptions::new();
        match options.write(true).create_new(true).mode(0o755).open(Self::PATH) {
            Ok(mut file) => {
                file.write_all(Self::POLICY.as_bytes()).map_err(Self::error)?;
                Ok(Self { ours: true })
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                // Ours if an earlier run was killed before it could take the file away.
                let text = fs::read(Self::PATH).map_err(Self::error)?;
                Ok(Self { ours: text == Self::POLICY.as_bytes() })
            }
            Err(error) => Err(Self::error(error)),
        }
    }

    fn error(source: io::Error) -> TestError {
        TestError::ServicePolicy { path: Self::PATH.into(), source }
    }
}

impl Drop for ServicesStayDown {
    fn drop(&mut self) {
        if self.ours
            && let Err(error) = fs::remove_file(Self::PATH)
        {
            eprintln!("cannot remove {}, please do: {error}", Self::PATH);
        }
    }
}
