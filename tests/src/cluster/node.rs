//! A node of the server: `opencpm serve` as a process of its own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::link::Link;
use crate::port::free_port;
use crate::service::{ACCOUNT, without_settings};
use crate::{Process, binaries, mortal};

/// A node and the links that lead to it.
pub struct Node {
    /// For logs: `api-1`.
    pub name: String,
    /// `opencpm serve`.
    pub process: Process,
    /// From clients to its API, over plain HTTP.
    pub door: Link,
    /// From agents to it.
    pub gate: Link,
    folder: PathBuf,
    clock: Option<PathBuf>,
}

impl Node {
    /// Starts a node that does everything, with the embedded engines; `folder` is where it keeps
    /// everything, `dir` where its configuration and its log are.
    pub(super) fn start(name: &str, dir: &Path, folder: &Path, deadline: Duration) -> Self {
        let [https, http, agents, metrics] = [(); 4].map(|()| free_port());
        let [door, gate] = [http, agents].map(Link::to);
        let configuration = dir.join(format!("{name}.toml"));
        let text = format!(
            "dir = {folder:?}\n[api]\nlisten = \"127.0.0.1:{https}\"\nhttp = \"127.0.0.1:{http}\"\n\
             names = [\"127.0.0.1\"]\njob_deadline = {}\n[agents]\nlisten = \"127.0.0.1:{agents}\"\n\
             addresses = [\"{}\"]\n[metrics]\nlisten = \"127.0.0.1:{metrics}\"\n\
             [first]\napp_id = {ACCOUNT}\n",
            deadline.as_secs(),
            gate.authority(),
        );
        std::fs::write(&configuration, text).expect("a configuration");
        let faketime = faketime();
        let clock = faketime.as_ref().map(|_| dir.join(format!("{name}.clock")));
        clock.iter().for_each(|file| set_clock(file, 0));
        let log = dir.join(format!("{name}.log"));
        let process = {
            let clock = clock.clone();
            Process::start(log, move || {
                let mut command = mortal(binaries::opencpm());
                without_settings(&mut command);
                command.arg("serve").arg("--config").arg(&configuration);
                if let (Some(library), Some(file)) = (&faketime, &clock) {
                    with_own_clock(&mut command, library, file);
                }
                command
            })
        };
        Self { name: name.to_owned(), process, door, gate, folder: folder.to_owned(), clock }
    }

    /// Whether its clock can be moved here.
    pub fn has_own_clock(&self) -> bool {
        self.clock.is_some()
    }

    /// Moves its clock to so many seconds from the machine's.
    pub fn move_clock(&self, seconds: i64) {
        set_clock(self.clock.as_deref().expect("a clock of its own"), seconds);
    }

    /// The key that its first start wrote.
    pub(super) fn profile(&self) -> PathBuf {
        self.folder.join("admin.toml")
    }
}

/// Debian's package `libfaketime`, where it is installed.
fn faketime() -> Option<PathBuf> {
    let machines = std::fs::read_dir("/usr/lib").ok()?.flatten();
    let mut libraries = machines.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    libraries.find(|path| path.exists())
}

/// The time of day comes from a file; the clock that measures spans stays the machine's.
fn with_own_clock(command: &mut Command, library: &Path, file: &Path) {
    command.env("LD_PRELOAD", library).env("FAKETIME_TIMESTAMP_FILE", file);
    command.env("FAKETIME_CACHE_DURATION", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    command.env("NO_FAKE_STAT", "1");
}

fn set_clock(file: &Path, seconds: i64) {
    // In one step: the node may look at any time.
    let draft = file.with_extension("draft");
    std::fs::write(&draft, format!("{seconds:+}\n")).expect("our own folder");
    std::fs::rename(draft, file).expect("our own folder");
}

/// Removes what libfaketime shares between a process and its children, for processes that were
/// killed.
pub(super) fn tidy_up_clocks() {
    let Ok(shared) = std::fs::read_dir("/dev/shm") else { return };
    for file in shared.flatten() {
        let name = file.file_name();
        let kinds = ["faketime_shm_", "sem.faketime_sem_"];
        let name = name.to_str().unwrap_or_default();
        let process = kinds.iter().find_map(|kind| name.strip_prefix(kind));
        if process.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
            drop(std::fs::remove_file(file.path()));
        }
    }
}
