//! Scratch roots: what an agent sees of a machine, of various distributions. The files below
//! `roots/` are as the distributions ship them, cut to what a reset looks at.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, chown};
use std::path::{Path, PathBuf};

use opencpm_operations::port::Random;

/// A system as it is installed.
pub(super) struct Distribution {
    /// For people, and for the machines' names.
    pub(super) name: &'static str,
    /// Path and content. `{yescrypt}` and `{sha512}` stand for a hash that no password has.
    files: &'static [(&'static str, &'static str)],
    /// Root's, as the passwd file names it.
    shell: &'static str,
    /// Of the shadow file, as the distribution has it: mode and group.
    shadow: (u32, u32),
}

macro_rules! distribution {
    ($name:literal, shell $shell:literal, shadow $mode:literal $group:literal, $($file:literal)*) => {
        Distribution {
            name: $name,
            files: &[$(($file, include_str!(concat!("roots/", $name, "/", $file))),)*],
            shell: $shell,
            shadow: ($mode, $group),
        }
    };
}

/// The systems of a lab's machines, in turn.
pub(super) static DISTRIBUTIONS: &[Distribution] = &[
    distribution!("debian-12", shell "bin/bash", shadow 0o640 42,
        "etc/os-release" "etc/passwd" "etc/group" "etc/shadow" "etc/login.defs"
        "etc/pam.d/common-password" "etc/pam.d/common-auth" "etc/pam.d/common-account"
        "etc/pam.d/common-session" "etc/pam.d/sshd"
        "etc/ssh/sshd_config"),
    distribution!("rocky-9", shell "bin/bash", shadow 0o000 0,
        "etc/os-release" "etc/passwd" "etc/group" "etc/shadow" "etc/login.defs"
        "etc/pam.d/system-auth" "etc/pam.d/password-auth" "etc/pam.d/postlogin" "etc/pam.d/sshd"
        "etc/ssh/sshd_config" "etc/ssh/sshd_config.d/01-permitrootlogin.conf"
        "etc/ssh/sshd_config.d/50-redhat.conf"),
    distribution!("ubuntu-24.04", shell "bin/bash", shadow 0o640 42,
        "etc/os-release" "etc/passwd" "etc/group" "etc/shadow" "etc/login.defs"
        "etc/pam.d/common-password" "etc/pam.d/common-auth" "etc/pam.d/common-account"
        "etc/pam.d/common-session" "etc/pam.d/sshd"
        "etc/ssh/sshd_config" "etc/ssh/sshd_config.d/50-cloud-init.conf" "etc/cloud/cloud.cfg"),
    distribution!("sles-15", shell "bin/bash", shadow 0o640 15,
        "etc/os-release" "etc/passwd" "etc/group" "etc/shadow" "etc/login.defs"
        "etc/pam.d/common-password" "etc/pam.d/common-auth" "etc/pam.d/common-account"
        "etc/pam.d/common-session" "etc/pam.d/sshd"
        "etc/ssh/sshd_config"),
    distribution!("alpine-3.20", shell "bin/sh", shadow 0o640 42,
        "etc/os-release" "etc/passwd" "etc/group" "etc/shadow" "etc/securetty"
        "etc/ssh/sshd_config"),
];

/// How root's entry looks before anything happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RootEntry {
    /// As installed.
    Usual,
    /// Twice, so that a reset is accepted and then refused by the machine.
    Twice,
}

/// Makes a machine's file system below `root`, which must not exist yet.
pub(super) fn make(
    root: &Path,
    distribution: &Distribution,
    name: &str,
    entry: RootEntry,
    random: &dyn Random,
) -> io::Result<()> {
    fs::create_dir_all(root.join("etc"))?;
    for (path, content) in distribution.files {
        let (mode, group) = if *path == "etc/shadow" { distribution.shadow } else { (0o644, 0) };
        let mut text = fill(content, random);
        if *path == "etc/shadow" && entry == RootEntry::Twice {
            let line = text.lines().next().unwrap_or_default().to_owned();
            text.push_str(&format!("{line}\n"));
        }
        write(&root.join(path), &text, mode, group)?;
    }
    for (path, content) in identity(name, random) {
        write(&root.join(path), &content, 0o644, 0)?;
    }
    // Only that it is there matters: nobody starts it.
    write(&root.join(distribution.shell), "", 0o755, 0)
}

/// What makes a machine this one and no other.
fn identity(name: &str, random: &dyn Random) -> [(&'static str, String); 4] {
    [
        ("etc/hostname", format!("{name}\n")),
        ("etc/machine-id", format!("{}\n", opencpm_domain::to_hex(&random.bytes::<16>()))),
        ("sys/class/dmi/id/product_uuid", format!("{}\n", uuid(random))),
        ("proc/sys/kernel/random/boot_id", format!("{}\n", uuid(random))),
    ]
}

/// A random UUID, version 4 (RFC 9562).
fn uuid(random: &dyn Random) -> String {
    let mut bytes = random.bytes::<16>();
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = opencpm_domain::to_hex(&bytes);
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

fn fill(content: &str, random: &dyn Random) -> String {
    let mut text = content.to_owned();
    while let Some(place) = text.find("{yescrypt}") {
        let hash = format!("$y$j9T${}${}", letters(random, 22), letters(random, 43));
        text.replace_range(place..place + "{yescrypt}".len(), &hash);
    }
    while let Some(place) = text.find("{sha512}") {
        let hash = format!("$6${}${}", letters(random, 16), letters(random, 86));
        text.replace_range(place..place + "{sha512}".len(), &hash);
    }
    text
}

/// Characters of crypt(5)'s alphabet.
fn letters(random: &dyn Random, count: usize) -> String {
    const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut bytes = vec![0; count];
    random.fill(&mut bytes);
    bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte & 63)])).collect()
}

/// Only root may give files away, and only root reads a file that nobody may read.
fn write(path: &Path, text: &str, mode: u32, group: u32) -> io::Result<()> {
    let is_root = rustix::process::geteuid().is_root();
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mode = if is_root { mode } else { mode | 0o600 };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(text.as_bytes())?;
    if is_root && group != 0 {
        chown(path, None, Some(group))?;
    }
    Ok(())
}

/// The hash field of root's first entry.
pub(super) fn root_hash(root: &Path) -> io::Result<String> {
    let text = fs::read_to_string(shadow(root))?;
    let entry = text.lines().find_map(|line| line.strip_prefix("root:"));
    let hash = entry.and_then(|entry| entry.split(':').next());
    hash.map(str::to_owned).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// The shadow file below a root.
pub(super) fn shadow(root: &Path) -> PathBuf {
    root.join("etc/shadow")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::SystemRandom;

    #[test]
    fn every_machine_has_a_root_entry_and_an_identity_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let mut ids = std::collections::BTreeSet::new();
        for distribution in DISTRIBUTIONS {
            let root = folder.path().join(distribution.name);
            make(&root, distribution, "m", RootEntry::Usual, &SystemRandom).unwrap();
            let hash = root_hash(&root).unwrap();
            assert!(
                hash.contains("$y$j9T$") || hash.contains("$6$"),
                "{}: {hash}",
                distribution.name
            );
            assert!(ids.insert(fs::read_to_string(root.join("etc/machine-id")).unwrap()));
        }
    }

    #[test]
    fn a_machine_that_fails_honestly_has_two_root_entries() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("odd");
        make(&root, &DISTRIBUTIONS[0], "odd", RootEntry::Twice, &SystemRandom).unwrap();
        let text = fs::read_to_string(shadow(&root)).unwrap();
        assert_eq!(text.lines().filter(|line| line.starts_with("root:")).count(), 2);
    }
}
