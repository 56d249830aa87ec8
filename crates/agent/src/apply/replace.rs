//! The new shadow file: written beside the old one with everything that the old one has, then put
//! in its place in one step.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use opencpm_domain::Reason;
use rustix::fs::{
    AtFlags, Gid, Mode, OFlags, Uid, XattrFlags, fchmod, fchown, fgetxattr, flistxattr,
    fremovexattr, fsetxattr, fsync, openat, renameat, statat, unlinkat,
};
use rustix::io::Errno;

use super::Failure;
use super::shadow::{Content, NAME};

/// A new file, complete and on disk, that is not yet in its place. Dropping it removes it.
pub(super) struct Pending<'a> {
    dir: BorrowedFd<'a>,
    placed: bool,
}

/// The new file's name until it is in its place. One name is enough: it is used under the lock.
const TEMPORARY: &str = "shadow.opencpm-new";

impl<'a> Pending<'a> {
    /// Writes `bytes` beside the old file.
    pub(super) fn write(dir: BorrowedFd<'a>, old: &Content, bytes: &[u8]) -> Result<Self, Failure> {
        let doing = "creating the new shadow file";
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(dir, TEMPORARY, flags, Mode::RUSR | Mode::WUSR)
            .map_err(|e| Failure::system(doing, e, Reason::WriteFailed))?;
        let pending = Self { dir, placed: false };
        copy_attributes(old, &file)?;
        write_all(file, bytes)?;
        Ok(pending)
    }

    /// Puts it in the old one's place. An error means that the old one is still there.
    pub(super) fn place(mut self) -> Result<(), Failure> {
        let doing = "renaming the new shadow file";
        renameat(self.dir, TEMPORARY, self.dir, NAME)
            .map_err(|e| Failure::system(doing, e, Reason::WriteFailed))?;
        self.placed = true;
        Ok(())
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if !self.placed {
            remove_leftover(self.dir);
        }
    }
}

/// Removes the new file that an interrupted reset left beside the old one. Only under the lock:
/// elsewhere it may be in use.
pub(super) fn remove_leftover(dir: BorrowedFd<'_>) {
    match unlinkat(dir, TEMPORARY, AtFlags::empty()) {
        Ok(()) => tracing::info!("removed the new shadow file of a reset that did not finish"),
        Err(Errno::NOENT) => (),
        Err(error) => tracing::warn!(%error, "{TEMPORARY} could not be removed"),
    }
}

/// Whether the new file of an interrupted reset still waits to be put in the old one's place.
pub(super) fn leftover_is_there(dir: BorrowedFd<'_>) -> bool {
    statat(dir, TEMPORARY, AtFlags::SYMLINK_NOFOLLOW).is_ok()
}

/// Makes the rename outlive a power cut. A file system whose directories cannot be synced alone
/// is synced as a whole.
pub(super) fn sync_directory(dir: BorrowedFd<'_>) -> Result<(), Failure> {
    fsync(dir).or_else(|_| rustix::fs::syncfs(dir)).map_err(|e| {
        Failure::system("syncing etc", e, Reason::NotDurable).because(Reason::NotDurable)
    })
}

fn write_all(file: OwnedFd, bytes: &[u8]) -> Result<(), Failure> {
    let mut file = File::from(file);
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(|e| {
        let errno = Errno::from_io_error(&e).unwrap_or(Errno::IO);
        Failure::system("writing the new shadow file", errno, Reason::WriteFailed)
    })
}

/// Owner first, because a change of owner drops other rights; the mode last, because the access
/// list sets it too. All of it before the first byte is written, so that nothing is readable for
/// longer than it should be.
fn copy_attributes(old: &Content, new: &OwnedFd) -> Result<(), Failure> {
    let doing = "copying owner and mode";
    let lost = |e| not_kept(doing, e);
    let (owner, group) = (Uid::from_raw(old.stat.st_uid), Gid::from_raw(old.stat.st_gid));
    fchown(new, Some(owner), Some(group)).map_err(lost)?;
    copy_extended(old.file.as_fd(), new.as_fd())?;
    fchmod(new, Mode::from_raw_mode(old.stat.st_mode)).map_err(lost)
}

/// The kernel computes these two from a file's content; the old file's would be wrong.
const OF_CONTENT: [&[u8]; 2] = [b"security.ima", b"security.evm"];

fn copy_extended(old: BorrowedFd<'_>, new: BorrowedFd<'_>) -> Result<(), Failure> {
    let doing = "copying extended attributes";
    let lost = |e| not_kept(doing, e);
    let names = extended_names(old).map_err(lost)?;
    for name in &names {
        let value = extended_value(old, name).map_err(lost)?;
        // What is there already need not be set: a label that the system gave by its own rules
        // may be one that nobody may set.
        if extended_value(new, name).as_ref() != Ok(&value) {
            fsetxattr(new, &name[..], &value, XattrFlags::empty()).map_err(lost)?;
        }
    }
    // The directory may give new files an access list that the old file does not have.
    for name in extended_names(new).map_err(lost)? {
        if !names.contains(&name) && name.starts_with(b"system.posix_acl") {
            fremovexattr(new, &name[..]).map_err(lost)?;
        }
    }
    Ok(())
}

fn extended_names(file: BorrowedFd<'_>) -> Result<Vec<Vec<u8>>, Errno> {
    let list = match grown(|buffer| flistxattr(file, buffer)) {
        Err(Errno::OPNOTSUPP) => Vec::new(), // a file system without such attributes
        other => other?,
    };
    let names = list.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    Ok(names.filter(|name| !OF_CONTENT.contains(name)).map(<[u8]>::to_vec).collect())
}

fn extended_value(file: BorrowedFd<'_>, name: &[u8]) -> Result<Vec<u8>, Errno> {
    grown(|buffer| fgetxattr(file, name, buffer))
}

/// Calls with a buffer that holds the longest list or value that Linux knows (xattr(7)).
fn grown(call: impl FnOnce(&mut [u8]) -> Result<usize, Errno>) -> Result<Vec<u8>, Errno> {
    let mut buffer = vec![0; 64 << 10];
    let length = call(&mut buffer)?;
    buffer.truncate(length);
    Ok(buffer)
}

/// A missing right is a lost attribute here, not a missing right to the file.
fn not_kept(doing: &'static str, errno: Errno) -> Failure {
    let failure = Failure::system(doing, errno, Reason::AttributesNotKept);
    match failure.reason() {
        Reason::PermissionDenied => failure.because(Reason::AttributesNotKept),
        _ => failure,
    }
}
