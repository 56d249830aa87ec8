//! What a reset leaves as it was.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;

use opencpm_agent::apply::Oversight;
use opencpm_domain::{Advice, Reason};
use rustix::fs::{XattrFlags, flistxattr, getxattr, setxattr};
use tempfile::TempDir;

use crate::scratch::{SHADOW, Scratch, TODAY, hash_in, temporary_directories};

/// A label, two notes, and an access list that lets user 1000 read (acl(5), the kernel's form).
fn attributes() -> [(&'static str, Vec<u8>); 4] {
    let acl =
        [(1, 6, u32::MAX), (2, 4, 1000), (4, 4, u32::MAX), (16, 4, u32::MAX), (32, 0, u32::MAX)];
    [
        ("security.selinux", b"system_u:object_r:shadow_t:s0\0".to_vec()),
        ("trusted.note", b"\0\xff".to_vec()),
        ("user.empty", Vec::new()),
        ("system.posix_acl_access", access_list(&acl)),
    ]
}

fn access_list(entries: &[(u16, u16, u32)]) -> Vec<u8> {
    let entry = |&(tag, rights, id): &(u16, u16, u32)| {
        [&tag.to_le_bytes()[..], &rights.to_le_bytes(), &id.to_le_bytes()].concat()
    };
    [2_u32.to_le_bytes().to_vec(), entries.iter().flat_map(entry).collect()].concat()
}

/// A directory on a file system that has extended attributes and access lists.
fn with_attributes() -> TempDir {
    let suits = |dir: &TempDir| {
        let probe = dir.path().join("probe");
        File::create(&probe).unwrap();
        attributes().iter().all(|(name, value)| set(&probe, name, value))
    };
    temporary_directories().find(suits).expect("a file system with extended attributes")
}

fn set(path: &Path, name: &str, value: &[u8]) -> bool {
    setxattr(path, name, value, XattrFlags::empty()).is_ok()
}

fn value(path: &Path, name: &str) -> Vec<u8> {
    let mut buffer = [0; 4096];
    let length = getxattr(path, name, &mut buffer[..]).unwrap();
    buffer[..length].to_vec()
}

#[test]
fn everything_but_hash_and_date_stays_and_nothing_is_left_beside_the_file() {
    let others = "\u{0}odd:\r\n# no account\n::\nuser:!:1:2:3:4:5:6:7:8:9\r\nlast:*:1::::::";
    let scratch = Scratch::new(format!("root:!$6$old:19000:0:99999:7::100:\n{others}"));
    let applied = scratch.reset().unwrap();
    assert_eq!(applied.lifted, [Advice::LockLifted, Advice::ExpiryLifted]);
    let shadow = scratch.shadow();
    let root = format!("root:{}:{TODAY}:0:99999:7:::\n", hash_in(&shadow));
    assert_eq!(shadow, format!("{root}{others}"));
    assert_eq!(scratch.names_in_etc(), [".pwd.lock", "login.defs", "shadow"]);
}

#[test]
fn owner_mode_and_extended_attributes_stay() {
    let scratch = Scratch::in_directory(with_attributes(), SHADOW);
    let path = scratch.path("etc/shadow");
    for (owner, group, mode) in [(0, 42, 0o640), (0, 0, 0o000), (12, 34, 0o600)] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        chown(&path, Some(owner), Some(group)).unwrap();
        let before = fs::metadata(&path).unwrap().ino();
        scratch.reset().unwrap();
        let after = fs::metadata(&path).unwrap();
        assert_ne!(before, after.ino());
        assert_eq!((after.uid(), after.gid(), after.mode() & 0o7777), (owner, group, mode));
    }
    for (name, content) in attributes() {
        assert!(set(&path, name, &content));
    }
    let mode = fs::metadata(&path).unwrap().mode();
    scratch.reset().unwrap();
    assert_eq!(fs::metadata(&path).unwrap().mode(), mode);
    for (name, content) in attributes() {
        assert_eq!(value(&path, name), content, "{name}");
    }
}

#[test]
fn an_access_list_that_the_directory_gives_to_new_files_does_not_reach_the_shadow_file() {
    let scratch = Scratch::in_directory(with_attributes(), SHADOW);
    let path = scratch.path("etc/shadow");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let (_, acl) = &attributes()[3];
    assert!(set(&scratch.path("etc"), "system.posix_acl_default", acl));
    scratch.reset().unwrap();
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o640);
    let mut names = [0; 4096];
    let length = flistxattr(File::open(&path).unwrap(), &mut names[..]).unwrap();
    assert!(!String::from_utf8_lossy(&names[..length]).contains("acl"));
}

#[test]
fn an_etc_that_is_a_link_inside_the_root_is_followed() {
    let scratch = Scratch::new(SHADOW);
    fs::rename(scratch.path("etc"), scratch.path("real")).unwrap();
    symlink("/real", scratch.path("etc")).unwrap();
    scratch.reset().unwrap();
    assert!(fs::read_to_string(scratch.path("real/shadow")).unwrap().contains("$6$rounds=1000$"));
}

/// Refuses at one of the two questions.
struct Refusing {
    intent: Result<(), Reason>,
    time: Result<(), Reason>,
}

impl Oversight for Refusing {
    fn intend(&mut self, _: &opencpm_agent::apply::Intent) -> Result<(), Reason> {
        self.intent
    }

    fn still_due(&mut self) -> Result<(), Reason> {
        self.time
    }
}

#[test]
fn a_reset_that_came_too_late_or_whose_intent_cannot_be_kept_changes_nothing() {
    let scratch = Scratch::new(SHADOW);
    for (intent, time, reason) in [
        (Err(Reason::StateUnwritable), Ok(()), Reason::StateUnwritable),
        (Ok(()), Err(Reason::Expired), Reason::Expired),
    ] {
        let refused = scratch.reset_with("abce1234", &mut Refusing { intent, time }).unwrap_err();
        assert_eq!(refused.reason(), reason);
        assert_eq!(scratch.shadow(), SHADOW);
        assert_eq!(scratch.names_in_etc(), [".pwd.lock", "login.defs", "shadow"]);
    }
}
