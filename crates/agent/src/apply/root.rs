//! The directory below which we act: `/`, or a machine's disk that is mounted elsewhere.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, openat, openat2, stat};
use rustix::io::Errno;

/// A root directory. Paths are resolved as a process whose root it is would resolve them:
/// symbolic links, absolute ones and `..` included, never lead out of it.
#[derive(Debug)]
pub struct Root {
    dir: OwnedFd,
    /// True when it is this process's own root, where the kernel resolves so by itself.
    own: bool,
}

/// Why a file or directory below the root could not be read. That it does not exist is no error.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It could not be opened. Below a root other than `/`, this needs openat2(2), Linux 5.6.
    #[error("cannot open {path}")]
    Open {
        /// As asked for.
        path: String,
        /// What the system said.
        source: Errno,
    },
    /// A directory, pipe, device or socket stands where a file was expected.
    #[error("{path} is not a regular file")]
    NotRegular {
        /// As asked for.
        path: String,
    },
    /// Larger than the caller is ready to hold.
    #[error("{path} is larger than {limit} bytes")]
    TooLarge {
        /// As asked for.
        path: String,
        /// The caller's limit, in bytes.
        limit: usize,
    },
    /// Reading failed half-way.
    #[error("cannot read {path}")]
    Read {
        /// As asked for.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
}

impl Root {
    /// Opens the directory at `path`, as seen from this process.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let error = |source| ReadError::Open { path: path.display().to_string(), source };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = openat(CWD, path, flags, Mode::empty()).map_err(error)?;
        let (ours, process) = (fstat(&dir).map_err(error)?, stat("/").map_err(error)?);
        let own = (ours.st_dev, ours.st_ino) == (process.st_dev, process.st_ino);
        Ok(Self { dir, own })
    }

    /// The whole regular file at `path`, at most `limit` bytes; `None` where there is none.
    /// Pipes and devices are refused, and not even opened: that alone can have effects.
    pub fn read(&self, path: &str, limit: usize) -> Result<Option<Vec<u8>>, ReadError> {
        let Some(found) = self.look(path)? else { return Ok(None) };
        if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile {
            return Err(ReadError::NotRegular { path: path.into() });
        }
        let Some(file) = self.open_below(path, OFlags::RDONLY)? else { return Ok(None) };
        let mut bytes = Vec::with_capacity(usize::try_from(found.st_size).unwrap_or(0).min(limit));
        File::from(file)
            .take(limit as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(|source| ReadError::Read { path: path.into(), source })?;
        if bytes.len() > limit {
            return Err(ReadError::TooLarge { path: path.into(), limit });
        }
        Ok(Some(bytes))
    }

    /// What is at `path`, links followed; `None` where there is nothing.
    pub fn look(&self, path: &str) -> Result<Option<Stat>, ReadError> {
        let Some(found) = self.open_path(path)? else { return Ok(None) };
        fstat(found).map(Some).map_err(|source| ReadError::Open { path: path.into(), source })
    }

    /// Whatever is at `path`, for looking at it and not into it; `None` where there is nothing.
    pub fn open_path(&self, path: &str) -> Result<Option<OwnedFd>, ReadError> {
        self.open_below(path, OFlags::PATH)
    }

    /// The directory at `path`; `None` where there is none.
    pub fn open_dir(&self, path: &str) -> Result<Option<OwnedFd>, ReadError> {
        self.open_below(path, OFlags::RDONLY | OFlags::DIRECTORY)
    }

    fn open_below(&self, path: &str, flags: OFlags) -> Result<Option<OwnedFd>, ReadError> {
        let quiet = OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let flags =
            if flags.contains(OFlags::PATH) { flags | OFlags::CLOEXEC } else { flags | quiet };
        match self.resolve(path, flags) {
            Ok(fd) => Ok(Some(fd)),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(source) => Err(ReadError::Open { path: path.into(), source }),
        }
    }

    fn resolve(&self, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        if self.own {
            return openat(&self.dir, path, flags, Mode::empty());
        }
        let inside = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let mut again = RACES;
        loop {
            // A rename elsewhere on the path makes the kernel ask for another try.
            match openat2(&self.dir, path, flags, Mode::empty(), inside) {
                Err(Errno::AGAIN) if again > 0 => again -= 1,
                other => return other,
            }
        }
    }
}

/// Tries until a path that is being changed under us is given up (openat2(2), EAGAIN).
const RACES: u32 = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn tree() -> (tempfile::TempDir, Root) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("etc/real")).unwrap();
        fs::write(dir.path().join("etc/real/file"), "inside").unwrap();
        let root = Root::open(dir.path()).unwrap();
        (dir, root)
    }

    #[test]
    fn absolute_links_and_dots_stay_below_the_root() {
        let (dir, root) = tree();
        symlink("/etc/real/file", dir.path().join("absolute")).unwrap();
        symlink("../../../../etc/real/file", dir.path().join("etc/dots")).unwrap();
        for path in ["absolute", "/absolute", "etc/dots", "/../etc/real/file"] {
            assert_eq!(root.read(path, 10).unwrap().unwrap(), b"inside", "{path}");
        }
    }

    #[test]
    fn what_is_not_there_is_none() {
        let (dir, root) = tree();
        symlink("/nowhere", dir.path().join("dangling")).unwrap();
        for path in ["missing", "etc/missing", "etc/real/file/below", "dangling"] {
            assert!(root.read(path, 10).unwrap().is_none(), "{path}");
        }
        assert!(root.look("missing").unwrap().is_none());
        assert!(root.open_dir("missing").unwrap().is_none());
    }

    #[test]
    fn too_much_and_the_wrong_kind_are_errors() {
        let (dir, root) = tree();
        rustix::fs::mknodat(CWD, dir.path().join("pipe"), FileType::Fifo, Mode::RUSR, 0).unwrap();
        assert!(matches!(root.read("pipe", 10), Err(ReadError::NotRegular { .. })));
        assert!(matches!(root.read("etc", 10), Err(ReadError::NotRegular { .. })));
        assert!(matches!(root.read("etc/real/file", 5), Err(ReadError::TooLarge { .. })));
        assert!(root.read("etc/real/file", 6).unwrap().is_some());
    }

    #[test]
    fn the_machines_own_root_works_too() {
        let root = Root::open(Path::new("/")).unwrap();
        assert!(root.own);
        assert!(root.read("/etc/passwd", 1 << 20).unwrap().is_some());
    }
}
