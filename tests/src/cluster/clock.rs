//! A clock of its own for a process, through Debian's package `libfaketime`.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A clock that can be moved while the process runs.
#[derive(Clone, Debug)]
pub(super) struct OwnClock {
    library: PathBuf,
    /// Says how far it is from the machine's.
    file: PathBuf,
}

impl OwnClock {
    /// One that goes right; nothing where the library is not installed.
    pub(super) fn new(file: PathBuf) -> Option<Self> {
        let machines = std::fs::read_dir("/usr/lib").ok()?.flatten();
        let mut libraries =
            machines.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
        let library = libraries.find(|path| path.exists())?;
        let clock = Self { library, file };
        clock.set(0);
        Some(clock)
    }

    /// The process takes the time of day from it; the clock that measures spans stays the
    /// machine's.
    pub(super) fn give(&self, command: &mut Command) {
        command.env("LD_PRELOAD", &self.library).env("FAKETIME_TIMESTAMP_FILE", &self.file);
        command.env("FAKETIME_CACHE_DURATION", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        command.env("NO_FAKE_STAT", "1");
    }

    /// So many seconds from the machine's.
    pub(super) fn set(&self, seconds: i64) {
        // In one step: the process may look at any time.
        let draft = self.file.with_extension("draft");
        std::fs::write(&draft, format!("{seconds:+}\n")).expect("our own folder");
        std::fs::rename(draft, &self.file).expect("our own folder");
    }
}

/// Removes what libfaketime shares between a process and its children, for processes that were
/// killed.
pub(super) fn tidy_up() {
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
