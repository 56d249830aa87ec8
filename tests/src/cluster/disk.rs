//! A small file system in memory that can be filled to the last byte.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{FallocateFlags, fallocate, statvfs};

/// A mounted file system. Mounting needs root, and the mount goes with the value.
pub struct Disk {
    path: PathBuf,
}

/// Its name when it is filled.
const BALLAST: &str = "ballast";

impl Disk {
    /// Mounts one of so many MiB at a folder; nothing where we may not.
    pub fn mount(path: &Path, mib: u32) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            return None;
        }
        std::fs::create_dir_all(path).expect("a folder");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={mib}m,mode=0711"), "opencpm-test"]);
        let mounted = mount.arg(path).output().expect("mount(8)");
        mounted.status.success().then(|| Self { path: path.to_owned() })
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes every block that is left.
    pub fn fill(&self) {
        let file = self.ballast();
        loop {
            let free = statvfs(&self.path).expect("our own file system");
            let length = file.metadata().expect("our own file").len();
            let left = free.f_bavail * free.f_frsize;
            if left == 0 || fallocate(&file, FallocateFlags::empty(), length, left).is_err() {
                return;
            }
        }
    }

    /// Gives all of it back.
    pub fn free(&self) {
        self.ballast().set_len(0).expect("our own file");
    }

    fn ballast(&self) -> File {
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true);
        options.open(self.path.join(BALLAST)).expect("our own file system")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a server that was not ended yet may still have files open.
        drop(Command::new("umount").arg("--lazy").arg(&self.path).output());
    }
}
