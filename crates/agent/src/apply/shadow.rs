//! Opening and reading the shadow file.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use opencpm_domain::Reason;
use rustix::fs::{Advice, FileType, IFlags, Mode, OFlags, Stat, fadvise, fstat, ioctl_getflags};
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::{Failure, ReadError, Root};

/// The file's name in its directory.
pub(super) const NAME: &str = "shadow";

/// Larger files are refused: no machine has so many accounts, and all of it is held in memory.
const LIMIT: u64 = 16 << 20;

/// The directory that holds the shadow file, kept open so that every step means the same one.
pub(super) struct ShadowDirectory(OwnedFd);

/// The file as it was at one instant. Its bytes are wiped when dropped.
pub(super) struct Content {
    pub(super) file: OwnedFd,
    pub(super) stat: Stat,
    pub(super) bytes: Zeroizing<Vec<u8>>,
}

impl ShadowDirectory {
    /// Opens `etc` below the root.
    pub(super) fn open(root: &Root) -> Result<Self, Failure> {
        let doing = "opening etc";
        match root.open_dir("etc") {
            Ok(Some(dir)) => Ok(Self(dir)),
            Ok(None) => Err(Failure::refused(doing, Reason::ShadowMissing)),
            Err(ReadError::Open { source, .. }) => {
                Err(Failure::system(doing, source, Reason::ShadowUnreadable))
            }
            Err(_) => Err(Failure::refused(doing, Reason::ShadowUnreadable)),
        }
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Refuses a directory in which no file can be replaced.
    pub(super) fn check_changeable(&self) -> Result<(), Failure> {
        check_flags("looking at the flags of etc", self.fd())
    }

    /// The whole shadow file, from the disk rather than from memory where the file system can.
    pub(super) fn read(&self) -> Result<Content, Failure> {
        let doing = "opening the shadow file";
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file =
            rustix::fs::openat(self.fd(), NAME, flags, Mode::empty()).map_err(|e| match e {
                Errno::NOENT => Failure::system(doing, e, Reason::ShadowMissing),
                Errno::LOOP => Failure::system(doing, e, Reason::ShadowSymlink),
                Errno::NXIO => Failure::system(doing, e, Reason::ShadowNotRegular),
                _ => Failure::system(doing, e, Reason::ShadowUnreadable),
            })?;
        let stat = fstat(&file).map_err(|e| Failure::system(doing, e, Reason::ShadowUnreadable))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(Failure::refused(doing, Reason::ShadowNotRegular));
        }
        // Only a hint: pages that were written already are read from the disk again.
        _ = fadvise(&file, 0, None, Advice::DontNeed);
        let bytes = read_all(&file, stat.st_size)?;
        Ok(Content { file, stat, bytes })
    }
}

impl Content {
    /// Refuses a file that cannot be replaced.
    pub(super) fn check_changeable(&self) -> Result<(), Failure> {
        check_flags("looking at the flags of the shadow file", self.file.as_fd())
    }
}

/// A file system without such flags (ENOTTY and the like) has nothing that is immutable.
fn check_flags(doing: &'static str, fd: BorrowedFd<'_>) -> Result<(), Failure> {
    match ioctl_getflags(fd) {
        Ok(flags) if flags.intersects(IFlags::IMMUTABLE | IFlags::APPEND) => {
            Err(Failure::refused(doing, Reason::ImmutableFile))
        }
        _ => Ok(()),
    }
}

fn read_all(file: &OwnedFd, size: i64) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let doing = "reading the shadow file";
    let unreadable = |source| Failure::caused(doing, source, Reason::ShadowUnreadable);
    if u64::try_from(size).is_ok_and(|size| size > LIMIT) {
        return Err(Failure::refused(doing, Reason::ShadowTooLarge));
    }
    // Room for all of it at once, so that no outgrown copy stays behind in freed memory.
    let room = usize::try_from(size).unwrap_or(0) + 64;
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    let file = File::from(file.try_clone().map_err(unreadable)?);
    file.take(LIMIT + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > LIMIT {
        return Err(Failure::refused(doing, Reason::ShadowTooLarge));
    }
    Ok(bytes)
}
