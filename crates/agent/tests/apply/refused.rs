//! Machines on which a reset must fail with its own reason and leave the file alone.

#![expect(clippy::disallowed_methods, reason = "a test starts programs, the agent does not")]

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use opencpm_domain::{Certainty, Reason};
use rustix::fs::{CWD, FileType, IFlags, Mode, ioctl_getflags, ioctl_setflags, mknodat};

use crate::scratch::{SHADOW, Scratch, temporary_directories};

fn refused(scratch: &Scratch) -> Reason {
    let reason = scratch.reset().unwrap_err().reason();
    assert_eq!(reason.certainty(), Certainty::NotChanged);
    reason
}

#[test]
fn odd_entries_of_root_are_refused_and_the_file_is_untouched() {
    for (shadow, reason) in [
        ("daemon:*:1::::::\n", Reason::NoRootEntry),
        ("root:*:1::::::\nroot:*:1::::::\n", Reason::DuplicateRootEntry),
        ("root:*:1:::::\n", Reason::BrokenRootEntry),
        ("root:*:1::::::\r\n", Reason::CrlfRootEntry),
    ] {
        let scratch = Scratch::new(shadow);
        assert_eq!(refused(&scratch), reason);
        assert_eq!(scratch.shadow(), shadow);
        assert_eq!(scratch.names_in_etc(), [".pwd.lock", "login.defs", "shadow"]);
    }
}

#[test]
fn what_is_no_regular_file_is_refused() {
    let scratch = Scratch::new(SHADOW);
    let path = scratch.path("etc/shadow");
    fs::rename(&path, scratch.path("etc/elsewhere")).unwrap();
    assert_eq!(refused(&scratch), Reason::ShadowMissing);
    symlink("elsewhere", &path).unwrap();
    assert_eq!(refused(&scratch), Reason::ShadowSymlink);
    assert_eq!(fs::read_to_string(scratch.path("etc/elsewhere")).unwrap(), SHADOW);
    fs::remove_file(&path).unwrap();
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR, 0).unwrap();
    assert_eq!(refused(&scratch), Reason::ShadowNotRegular);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert_eq!(refused(&scratch), Reason::ShadowNotRegular);
    fs::remove_dir_all(scratch.path("etc")).unwrap();
    assert_eq!(refused(&scratch), Reason::ShadowMissing);
}

#[test]
fn a_monstrous_file_is_refused() {
    let scratch = Scratch::new(SHADOW);
    File::options()
        .write(true)
        .open(scratch.path("etc/shadow"))
        .unwrap()
        .set_len((16 << 20) + 1)
        .unwrap();
    assert_eq!(refused(&scratch), Reason::ShadowTooLarge);
}

/// Sets a flag, and takes it away again so that the directory can be removed.
struct Flagged(PathBuf);

impl Flagged {
    fn set(path: PathBuf, flag: IFlags) -> Option<Self> {
        let file = File::open(&path).unwrap();
        let flags = ioctl_getflags(&file).ok()?;
        ioctl_setflags(&file, flags | flag).ok()?;
        Some(Self(path))
    }
}

impl Drop for Flagged {
    fn drop(&mut self) {
        let file = File::open(&self.0).unwrap();
        let flags = ioctl_getflags(&file).unwrap();
        ioctl_setflags(&file, flags - IFlags::IMMUTABLE - IFlags::APPEND).unwrap();
    }
}

#[test]
fn an_immutable_file_or_directory_is_named_as_such() {
    let knows_flags =
        |dir: &tempfile::TempDir| Flagged::set(dir.path().to_owned(), IFlags::IMMUTABLE).is_some();
    let directory = temporary_directories().find(knows_flags).expect("a file system with flags");
    let scratch = Scratch::in_directory(directory, SHADOW);
    for (path, flag) in [
        ("etc/shadow", IFlags::IMMUTABLE),
        ("etc/shadow", IFlags::APPEND),
        ("etc", IFlags::IMMUTABLE),
        ("etc", IFlags::APPEND),
    ] {
        let _flagged = Flagged::set(scratch.path(path), flag).unwrap();
        assert_eq!(refused(&scratch), Reason::ImmutableFile, "{path}");
        assert_eq!(scratch.shadow(), SHADOW);
    }
    scratch.reset().unwrap();
}

/// A process with mounts of its own, which end with it. We reach them through `/proc`.
struct Mounted {
    process: Child,
    _directory: tempfile::TempDir,
    path: PathBuf,
}

impl Mounted {
    /// Mounts a small file system in memory, with these options.
    fn tmpfs(options: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let script = "mount -t tmpfs -o \"$1\" none \"$0\" && echo mounted && cat";
        let mut process = Command::new("unshare")
            .args(["--mount", "sh", "-c", script])
            .arg(directory.path())
            .arg(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "mounted\n");
        let root = Path::new("/proc").join(process.id().to_string()).join("root");
        let path = root.join(directory.path().strip_prefix("/").unwrap());
        Self { process, _directory: directory, path }
    }

    fn remount_read_only(&self) {
        let status = Command::new("nsenter")
            .args(["--mount", "--target", &self.process.id().to_string()])
            .args(["mount", "-o", "remount,ro"])
            .arg(self._directory.path())
            .status()
            .unwrap();
        assert!(status.success());
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        self.process.wait().unwrap();
    }
}

#[test]
fn a_read_only_file_system_is_named_as_such() {
    let mounted = Mounted::tmpfs("size=1m");
    let scratch = Scratch::at(mounted.path.clone(), SHADOW);
    scratch.reset().unwrap();
    let before = scratch.shadow();
    mounted.remount_read_only();
    assert_eq!(refused(&scratch), Reason::ReadOnlyFileSystem);
    assert_eq!(scratch.shadow(), before);
}

#[test]
fn a_full_disk_is_named_as_such_and_the_old_file_stays() {
    let mounted = Mounted::tmpfs("size=96k");
    let shadow = SHADOW.to_owned() + &"filler:*:1::::::\n".repeat(2_000);
    let scratch = Scratch::at(mounted.path.clone(), &shadow);
    // Room for the lock, but not for a second shadow file; then not even for the lock.
    for filler in [8 << 10, 96 << 10] {
        _ = fs::write(scratch.path("filler"), vec![1; 34 << 10 | filler]);
        assert_eq!(refused(&scratch), Reason::DiskFull);
        assert_eq!(scratch.shadow(), shadow);
        assert!(!scratch.names_in_etc().iter().any(|name| name.starts_with("shadow.")));
    }
    fs::remove_file(scratch.path("filler")).unwrap();
    scratch.reset().unwrap();
}
