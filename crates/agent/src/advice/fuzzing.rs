//! Targets of `cargo xtask fuzz`: each takes any bytes and says what holds for them. Here because
//! what they ask is private to this module. `fuzz/README.md` lists all of them.

use std::cell::Cell;
use std::collections::BTreeSet;

use opencpm_domain::{Advice, Timestamp};

use super::memory_tree::MemoryTree;
use super::{FileSystem, Files, Kind, Unreadable};
use super::{after_success, cloud_init, faillock, pam, sshd, volatile};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

/// Stands between the files of one input (the record separator of ASCII).
const NEXT_FILE: u8 = 0x1e;

/// How often a tree may be asked at most. By far the most that the parts allow themselves: sshd's
/// files, a line and so a file each.
const MOST_QUESTIONS: usize = 250_000;

/// The input's pieces are the files at these paths. An empty piece is no file, `?` one that
/// cannot be read. `tail` is put behind each.
fn tree(input: &[u8], paths: &[&str], tail: &[u8]) -> MemoryTree {
    let pieces = input.splitn(paths.len(), |byte| *byte == NEXT_FILE);
    paths.iter().zip(pieces).fold(MemoryTree::new(), |tree, (path, piece)| match piece {
        b"" => tree,
        b"?" => tree.broken(path),
        _ => tree.file(path, [piece, tail].concat()),
    })
}

/// Counts how often a tree is asked, and ends a part that does not end.
struct Patient<'a> {
    files: &'a MemoryTree,
    asked: Cell<usize>,
}

impl<'a> Patient<'a> {
    fn new(files: &'a MemoryTree) -> Self {
        Self { files, asked: Cell::new(0) }
    }

    fn files(&self) -> &'a MemoryTree {
        self.asked.set(self.asked.get() + 1);
        assert!(self.asked.get() <= MOST_QUESTIONS, "it asks for files without end");
        self.files
    }
}

impl Files for Patient<'_> {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, Unreadable> {
        self.files().read(path)
    }

    fn list(&self, directory: &str) -> Result<Option<Vec<String>>, Unreadable> {
        self.files().list(directory)
    }

    fn kind(&self, path: &str) -> Result<Kind, Unreadable> {
        self.files().kind(path)
    }

    fn file_system(&self, path: &str) -> Result<FileSystem, Unreadable> {
        self.files().file_system(path)
    }
}

/// sshd's configuration: reading ends, a comment changes nothing, and what cannot be read is said
/// to be unknown.
pub fn sshd(input: &[u8]) {
    const PATHS: [&str; 5] = [
        "/etc/ssh/sshd_config",
        "/etc/ssh/sshd_config.d/a.conf",
        "/etc/ssh/sshd_config.d/b.conf",
        "/etc/passwd",
        "/etc/group",
    ];
    let files = tree(input, &PATHS, b"");
    let said = sshd::advice(&Patient::new(&files));
    assert_eq!(said, sshd::advice(&tree(input, &PATHS, b"\n# comment\n")));
    match sshd::Configuration::read(&files, PATHS[0]) {
        Ok(configuration) => {
            let never = configuration.effective(&|_| false);
            let always = configuration.effective(&|_| true);
            assert!(never == always || !configuration.open().is_empty());
        }
        Err(_) if input.is_empty() || input[0] == NEXT_FILE => assert_eq!(said, BTreeSet::new()),
        Err(_) => assert_eq!(said, BTreeSet::from([Advice::SshdUnknown])),
    }
}

/// cloud-init's configurations and data: a comment changes nothing, where it is disabled nothing
/// is said, and unknown is only said alone.
pub fn cloud_init(input: &[u8]) {
    const PATHS: [&str; 6] = [
        "/etc/cloud/cloud.cfg",
        "/etc/cloud/cloud.cfg.d/a.cfg",
        "/var/lib/cloud/instance/cloud-config.txt",
        "/var/lib/cloud/instance/user-data.txt",
        "/var/lib/cloud/seed/nocloud/user-data",
        "/var/lib/cloud/scripts/per-boot/a",
    ];
    let installed = |tail| tree(input, &PATHS, tail).program("/usr/bin/cloud-init");
    let said = cloud_init::advice(&Patient::new(&installed(b"")));
    assert_eq!(said, cloud_init::advice(&installed(b"\n# comment\n")));
    assert!(!said.contains(&Advice::CloudInitUnknown) || said.len() == 1);
    let disabled = installed(b"").file("/etc/cloud/cloud-init.disabled", "");
    assert_eq!(cloud_init::advice(&disabled), []);
}

/// The record of failed logins and its options: neither half a record nor the records' order
/// matters, and without a record nobody is locked.
pub fn faillock(input: &[u8]) {
    let mut pieces = input.splitn(3, |byte| *byte == NEXT_FILE);
    let mut piece = || pieces.next().unwrap_or_default();
    let (arguments, options, records) = (piece(), piece(), piece());
    let said = |records: &[u8]| {
        let stack = [b"auth required pam_faillock.so even_deny_root ", arguments].concat();
        let files = MemoryTree::new()
            .file("/etc/pam.d/sshd", stack)
            .file("/etc/security/faillock.conf", options)
            .file("/var/run/faillock/root", records);
        faillock::advice(&Patient::new(&files), NOW)
    };
    let (whole, rest) = records.as_chunks::<{ faillock::RECORD }>();
    let backwards: Vec<u8> = whole.iter().rev().flatten().copied().collect();
    assert_eq!(said(records), said(whole.as_flattened()));
    assert_eq!(said(&[&backwards[..], rest].concat()), said(records));
    if whole.is_empty() {
        assert_ne!(said(records), Some(Advice::FaillockLocked));
    }
}

/// What PAM, the access table, the passwd file and the terminals say: reading ends, and advice is
/// sorted, each once.
pub fn logins(input: &[u8]) {
    const PATHS: [&str; 9] = [
        "/etc/pam.d/sshd",
        "/etc/pam.d/login",
        "/etc/pam.d/common",
        "/usr/lib/pam.d/common-more",
        "/etc/security/access.conf",
        "/etc/security/access.d/a.conf",
        "/etc/passwd",
        "/etc/group",
        "/etc/securetty",
    ];
    let files = tree(input, &PATHS, b"").program("/bin/sh").program("/sbin/nologin");
    let said = after_success(&Patient::new(&files), NOW);
    assert!(said.is_sorted_by(|a, b| a < b));
    if pam::login_modules(&files).is_err() {
        let unknown = [Advice::FaillockUnknown, Advice::PamUnknown];
        assert!(unknown.iter().all(|advice| said.contains(advice)));
    }
}

/// The table of mounts: a file system in memory is volatile whatever it says, and an overlay that
/// it does not explain is unknown.
pub fn mounts(input: &[u8]) {
    let (&mount, mounts) = input.split_first().unwrap_or((&0, &[]));
    let said = |magic| {
        let mount = (mount != 0).then_some(u64::from(mount));
        let files = MemoryTree::new().on(FileSystem { magic, mount, mounts: mounts.to_vec() });
        volatile::advice(&files)
    };
    assert_eq!(said(volatile::TMPFS), Some(Advice::EtcVolatile));
    let explained = mounts.windows(9).any(|word| word == b"upperdir=");
    assert!(explained || said(volatile::OVERLAY) == Some(Advice::EtcUnknown));
    // Any file system on a disk.
    assert_ne!(said(0xef53), Some(Advice::EtcUnknown));
}
