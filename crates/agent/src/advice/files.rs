//! [`Files`] of a real directory: the machine's own root, or a mounted tree.

use super::{FileSystem, Files, Kind, Unreadable};
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::fs::{
    CWD, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, fstatfs, openat, openat2,
};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// The largest file that is read: 1 MiB.
const LARGEST: u64 = 1 << 20;
/// The most entries of a directory that is listed.
const MOST_ENTRIES: usize = 4096;

/// The tree below one directory. Absolute links and `..` stay inside it, as after chroot(2).
#[derive(Debug)]
pub struct Directory {
    root: OwnedFd,
    is_machine: bool,
}

impl Directory {
    /// Opens the tree below `root`.
    ///
    /// # Errors
    ///
    /// The directory cannot be opened.
    pub fn open(root: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let is_machine = root == Path::new("/");
        Ok(Self { root: openat(CWD, root, flags, Mode::empty())?, is_machine })
    }

    /// Opens a path inside the tree; `None` when nothing is there.
    fn find(&self, path: &str, flags: OFlags) -> Result<Option<OwnedFd>, Unreadable> {
        let flags = flags | OFlags::CLOEXEC;
        let found = match openat2(&self.root, path, flags, Mode::empty(), ResolveFlags::IN_ROOT) {
            // Kernels before 5.6: the machine's own root needs no fence, another root has none.
            Err(Errno::NOSYS) if self.is_machine => openat(CWD, path, flags, Mode::empty()),
            other => other,
        };
        match found {
            Ok(file) => Ok(Some(file)),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(error) => Err(unreadable(error)),
        }
    }

    fn look(&self, path: &str) -> Result<Option<Stat>, Unreadable> {
        let Some(file) = self.find(path, OFlags::PATH)? else { return Ok(None) };
        fstat(file).map(Some).map_err(unreadable)
    }
}

impl Files for Directory {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, Unreadable> {
        // The type first: to open a device or a pipe can have effects.
        match self.kind(path)? {
            Kind::Absent => return Ok(None),
            Kind::Directory => return Err(Unreadable::Type),
            Kind::Program | Kind::Other => {}
        }
        if self.look(path)?.is_none_or(|stat| file_type(&stat) != FileType::RegularFile) {
            return Err(Unreadable::Type);
        }
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let Some(file) = self.find(path, flags)? else { return Ok(None) };
        let mut content = Vec::new();
        File::from(file).take(LARGEST + 1).read_to_end(&mut content).map_err(Unreadable::System)?;
        if content.len() as u64 > LARGEST {
            return Err(Unreadable::TooLarge);
        }
        Ok(Some(content))
    }

    fn list(&self, directory: &str) -> Result<Option<Vec<String>>, Unreadable> {
        match self.kind(directory)? {
            Kind::Absent => return Ok(None),
            Kind::Directory => {}
            Kind::Program | Kind::Other => return Err(Unreadable::Type),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let Some(directory) = self.find(directory, flags)? else { return Ok(None) };
        let mut names = Vec::new();
        for entry in Dir::new(directory).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let name = entry.file_name().to_str().map_err(|_| Unreadable::NotText)?;
            if name != "." && name != ".." {
                names.push(name.to_owned());
            }
            if names.len() > MOST_ENTRIES {
                return Err(Unreadable::TooLarge);
            }
        }
        Ok(Some(names))
    }

    fn kind(&self, path: &str) -> Result<Kind, Unreadable> {
        let Some(stat) = self.look(path)? else { return Ok(Kind::Absent) };
        let executable =
            Mode::from_raw_mode(stat.st_mode).intersects(Mode::XUSR | Mode::XGRP | Mode::XOTH);
        Ok(match file_type(&stat) {
            FileType::Directory => Kind::Directory,
            FileType::RegularFile if executable => Kind::Program,
            _ => Kind::Other,
        })
    }

    fn file_system(&self, path: &str) -> Result<FileSystem, Unreadable> {
        let Some(file) = self.find(path, OFlags::PATH)? else {
            return Err(unreadable(Errno::NOENT));
        };
        let facts = fstatfs(&file).map_err(unreadable)?;
        let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", file.as_raw_fd()));
        Ok(FileSystem {
            // The kernel's field is signed on some machines and narrower on others.
            magic: facts.f_type as u64 & 0xffff_ffff,
            mount: info.ok().as_deref().and_then(mount_number),
            mounts: std::fs::read("/proc/self/mountinfo").unwrap_or_default(),
        })
    }
}

fn file_type(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// The line `mnt_id:` of proc_pid_fdinfo(5).
fn mount_number(fdinfo: &str) -> Option<u64> {
    fdinfo.lines().find_map(|line| line.strip_prefix("mnt_id:")?.trim().parse().ok())
}

fn unreadable(error: Errno) -> Unreadable {
    Unreadable::System(error.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    fn tree() -> tempfile::TempDir {
        let tree = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(tree.path().join("etc/ssh")).unwrap();
        std::fs::create_dir_all(tree.path().join("usr/bin")).unwrap();
        std::fs::write(tree.path().join("etc/ssh/sshd_config"), "Port 22\n").unwrap();
        std::fs::write(tree.path().join("usr/bin/sh"), "").unwrap();
        let executable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(tree.path().join("usr/bin/sh"), executable).unwrap();
        tree
    }

    #[test]
    fn absolute_links_stay_below_the_root() {
        let tree = tree();
        symlink("/usr/bin", tree.path().join("bin")).unwrap();
        symlink("/../../etc/ssh", tree.path().join("ssh")).unwrap();
        let files = Directory::open(tree.path()).unwrap();
        assert_eq!(files.kind("/bin/sh").unwrap(), Kind::Program);
        assert_eq!(files.read("/ssh/sshd_config").unwrap().unwrap(), b"Port 22\n");
        assert_eq!(files.list("/ssh").unwrap().unwrap(), ["sshd_config"]);
    }

    #[test]
    fn what_is_absent_is_told_from_what_cannot_be_read() {
        let tree = tree();
        let files = Directory::open(tree.path()).unwrap();
        assert!(files.read("/etc/absent").unwrap().is_none());
        assert!(files.read("/etc/ssh/sshd_config/below").unwrap().is_none());
        assert!(files.list("/absent").unwrap().is_none());
        assert!(matches!(files.read("/etc/ssh"), Err(Unreadable::Type)));
        assert!(matches!(files.list("/usr/bin/sh"), Err(Unreadable::Type)));
        std::fs::write(tree.path().join("etc/large"), vec![b'a'; LARGEST as usize + 1]).unwrap();
        assert!(matches!(files.read("/etc/large"), Err(Unreadable::TooLarge)));
    }

    #[test]
    fn the_file_system_is_that_of_the_path() {
        let files = Directory::open(Path::new("/")).unwrap();
        let facts = files.file_system("/proc").unwrap();
        assert_eq!(facts.magic, 0x9fa0);
        assert!(facts.mount.is_some() && !facts.mounts.is_empty());
    }
}
