//! What would still keep root out after a successful change, or would undo it.
//!
//! Nothing here executes a program or writes. Each part reads a few configuration files through
//! [`Files`], decides by the rules of the program that owns them, and names the rules' source.
//! What a part cannot decide it says to be unknown: a wrong silence is worse than an unknown.
//!
//! | file | looks at |
//! | --- | --- |
//! | `sshd/` | sshd's configuration, as sshd parses it |
//! | `account.rs` | root's line of the passwd file, and its shell |
//! | `faillock.rs` | the record of failed logins |
//! | `securetty.rs`, `access.rs` | restrictions by terminal and by access table |
//! | `cloud_init.rs` | what sets or locks passwords at the next boot |
//! | `volatile.rs` | the file system that holds the shadow file |
//!
//! `files.rs` reads a real tree; `passwd.rs`, `pam.rs`, `pattern.rs` and `glob.rs` parse what
//! several parts share.

use opencpm_domain::{Advice, Timestamp};

mod access;
mod account;
mod cloud_init;
mod cloud_yaml;
mod faillock;
mod files;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod glob;
#[cfg(any(test, fuzzing))]
mod memory_tree;
mod pam;
mod passwd;
mod pattern;
mod securetty;
pub mod sshd;
mod volatile;

/// Everything to say about the machine below `files` at the time `now`: sorted by number, each
/// advice once.
pub fn after_success(files: &dyn Files, now: Timestamp) -> Vec<Advice> {
    let mut advice = Vec::new();
    advice.extend(sshd::advice(files));
    advice.extend(account::advice(files));
    advice.extend(faillock::advice(files, now));
    advice.extend(securetty::advice(files));
    advice.extend(access::advice(files));
    advice.extend(cloud_init::advice(files));
    advice.extend(volatile::advice(files));
    advice.sort();
    advice.dedup();
    advice
}

/// The machine's tree, read only.
///
/// Paths are absolute as the machine itself sees them (`/etc/ssh/sshd_config`), whatever directory
/// the tree lies in; symbolic links are followed inside the tree.
pub trait Files {
    /// A regular file's content; `None` when there is no such file.
    ///
    /// # Errors
    ///
    /// The file is there but cannot be read, is no regular file, or is too large.
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, Unreadable>;

    /// The names in a directory, without `.` and `..`, in any order; `None` when there is no such
    /// directory.
    ///
    /// # Errors
    ///
    /// The directory is there but cannot be read, or has too many entries.
    fn list(&self, directory: &str) -> Result<Option<Vec<String>>, Unreadable>;

    /// What is at `path`, links followed.
    ///
    /// # Errors
    ///
    /// It cannot be looked at.
    fn kind(&self, path: &str) -> Result<Kind, Unreadable>;

    /// The file system that holds `path`.
    ///
    /// # Errors
    ///
    /// It cannot be looked at.
    fn file_system(&self, path: &str) -> Result<FileSystem, Unreadable>;
}

/// What is at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing.
    Absent,
    /// A regular file that somebody may execute.
    Program,
    /// A directory.
    Directory,
    /// Any other file.
    Other,
}

/// Facts about a mounted file system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileSystem {
    /// The kernel's magic number of its type (statfs(2), `f_type`).
    pub magic: u64,
    /// Its number in `mounts`; `None` when the kernel does not tell.
    pub mount: Option<u64>,
    /// The text of `/proc/self/mountinfo` (proc_pid_mountinfo(5)); empty when it is not there.
    pub mounts: Vec<u8>,
}

/// A file or directory is there but could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// A system call failed.
    #[error("cannot be opened or read")]
    System(#[source] std::io::Error),
    /// Not a regular file, or not a directory where one is needed.
    #[error("is of another type than needed")]
    Type,
    /// Larger than the bound on what is read.
    #[error("is too large")]
    TooLarge,
    /// Not UTF-8, or with a byte that no such file holds.
    #[error("is not text")]
    NotText,
}

/// A configuration file's text; `None` when there is no such file.
fn text(files: &dyn Files, path: &str) -> Result<Option<String>, Unreadable> {
    let Some(bytes) = files.read(path)? else { return Ok(None) };
    match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Ok(Some(text)),
        _ => Err(Unreadable::NotText),
    }
}

/// Whether something is at `path`; what cannot be looked at is taken to be there.
fn is_present(files: &dyn Files, path: &str) -> bool {
    files.kind(path).map_or(true, |kind| kind != Kind::Absent)
}

#[cfg(test)]
mod tests;
