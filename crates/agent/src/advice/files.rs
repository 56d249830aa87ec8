//! [`Files`] of a real tree: the machine's own root, or a mounted one.

use super::{FileSystem, Files, Kind, Unreadable};
use crate::apply::{ReadError, Root};
use rustix::fd::AsRawFd;
use rustix::fs::{Dir, FileType, Mode, fstatfs};
use rustix::io::Errno;

/// The largest file that is read: 1 MiB.
const LARGEST: usize = 1 << 20;
/// The most entries of a directory that is listed.
const MOST_ENTRIES: usize = 4096;

impl Files for Root {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, Unreadable> {
        Self::read(self, path, LARGEST).map_err(Into::into)
    }

    fn list(&self, directory: &str) -> Result<Option<Vec<String>>, Unreadable> {
        match self.kind(directory)? {
            Kind::Absent => return Ok(None),
            Kind::Directory => {}
            Kind::Program | Kind::Other => return Err(Unreadable::Type),
        }
        let Some(directory) = self.open_dir(directory)? else { return Ok(None) };
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
        Ok(match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => Kind::Directory,
            FileType::RegularFile if executable => Kind::Program,
            _ => Kind::Other,
        })
    }

    fn file_system(&self, path: &str) -> Result<FileSystem, Unreadable> {
        let Some(file) = self.open_path(path)? else {
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

/// The line `mnt_id:` of proc_pid_fdinfo(5).
fn mount_number(fdinfo: &str) -> Option<u64> {
    fdinfo.lines().find_map(|line| line.strip_prefix("mnt_id:")?.trim().parse().ok())
}

impl From<ReadError> for Unreadable {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Open { source, .. } => unreadable(source),
            ReadError::Read { source, .. } => Self::System(source),
            ReadError::NotRegular { .. } => Self::Type,
            ReadError::TooLarge { .. } => Self::TooLarge,
        }
    }
}

fn unreadable(error: Errno) -> Unreadable {
    Unreadable::System(error.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::path::Path;

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
        let files = Root::open(tree.path()).unwrap();
        assert_eq!(files.kind("/bin/sh").unwrap(), Kind::Program);
        assert_eq!(Files::read(&files, "/ssh/sshd_config").unwrap().unwrap(), b"Port 22\n");
        assert_eq!(files.list("/ssh").unwrap().unwrap(), ["sshd_config"]);
    }

    #[test]
    fn what_is_absent_is_told_from_what_cannot_be_read() {
        let tree = tree();
        let files = Root::open(tree.path()).unwrap();
        assert!(Files::read(&files, "/etc/absent").unwrap().is_none());
        assert!(Files::read(&files, "/etc/ssh/sshd_config/below").unwrap().is_none());
        assert!(files.list("/absent").unwrap().is_none());
        assert!(matches!(Files::read(&files, "/etc/ssh"), Err(Unreadable::Type)));
        assert!(matches!(files.list("/usr/bin/sh"), Err(Unreadable::Type)));
        std::fs::write(tree.path().join("etc/large"), vec![b'a'; LARGEST + 1]).unwrap();
        assert!(matches!(Files::read(&files, "/etc/large"), Err(Unreadable::TooLarge)));
    }

    #[test]
    fn the_file_system_is_that_of_the_path() {
        let files = Root::open(Path::new("/")).unwrap();
        let facts = files.file_system("/proc").unwrap();
        assert_eq!(facts.magic, 0x9fa0);
        assert!(facts.mount.is_some() && !facts.mounts.is_empty());
    }
}
