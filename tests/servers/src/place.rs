//! Where a server keeps its files, and its ports.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// In the system's folder for temporary files: a server that runs as a user of its own can reach
/// it, and a path of a socket stays short.
const PREFIX: &str = "opencpm-server";

/// A scratch folder; goes with the value, or with the next one that is made after the process has
/// ended some other way.
pub(crate) struct Place(PathBuf);

impl Place {
    /// An empty folder that nobody else can look into.
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        remove_abandoned();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).expect("a scratch folder");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).expect("our own folder");
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Hands it over to another user.
    pub(crate) fn give_to(&self, user: u32, group: u32) {
        chown(&self.0, Some(user), Some(group)).expect("our own folder");
    }

    /// A folder in it.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(&path).expect("a folder in our own folder");
        path
    }

    /// A file in it.
    pub(crate) fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, content).expect("a file in our own folder");
        path
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What is left goes with the next server that is started.
        drop(fs::remove_dir_all(&self.0));
    }
}

/// Removes the folders of processes that are no more: a value in a `static` is never dropped.
fn remove_abandoned() {
    let Ok(entries) = fs::read_dir(std::env::temp_dir()) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let process = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('-').nth(1));
        if let Some(process) = process
            && !Path::new("/proc").join(process).exists()
        {
            drop(fs::remove_dir_all(entry.path()));
        }
    }
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    let socket = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    socket.local_addr().expect("our own socket").port()
}
