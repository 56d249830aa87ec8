//! What the machine's files say of password hashing, read below the root.

use super::Root;
use super::crypt_library::CryptLibrary;
use super::login_defs::LoginDefs;
use super::pam::{PamUnix, pam_unix};
use crate::pam::DIRECTORIES;

/// Everything that the choice of a scheme depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Configuration {
    /// `None` where no password stack with pam_unix was found.
    pub(super) pam: Option<PamUnix>,
    pub(super) login_defs: LoginDefs,
    pub(super) library: CryptLibrary,
    /// Some account's hash is a yescrypt hash already.
    pub(super) yescrypt_in_use: bool,
}

/// The machine's login.defs, then the vendor's.
const LOGIN_DEFS: [&str; 2] = ["etc/login.defs", "usr/etc/login.defs"];
/// Bytes; no such file is larger.
const LARGEST: usize = 1 << 20;

impl Configuration {
    /// Reads it. A file that cannot be read counts as absent: the choice then falls to what
    /// every system verifies, and a broken comment never stands in a reset's way.
    pub(super) fn read(root: &Root, shadow: &[u8]) -> Self {
        Self {
            pam: pam_unix(&mut |service| pam_service(root, service)),
            login_defs: first(root, LOGIN_DEFS.map(str::to_owned))
                .map(|file| LoginDefs::parse(&file))
                .unwrap_or_default(),
            library: CryptLibrary::below(root),
            yescrypt_in_use: has_yescrypt(shadow),
        }
    }
}

fn pam_service(root: &Root, service: &str) -> Option<Vec<u8>> {
    if service.starts_with('/') {
        return first(root, [service.to_owned()]);
    }
    first(root, DIRECTORIES.map(|directory| format!("{directory}/{service}")))
}

fn first<const N: usize>(root: &Root, paths: [String; N]) -> Option<Vec<u8>> {
    paths.iter().find_map(|path| {
        root.read(path, LARGEST).unwrap_or_else(|error| {
            tracing::warn!(error = &error as &dyn std::error::Error, "taken for absent");
            None
        })
    })
}

fn has_yescrypt(shadow: &[u8]) -> bool {
    let hash = |line: &[u8]| {
        line.split(|byte| *byte == b':').nth(1).map(|hash| {
            let marks = hash.iter().take_while(|byte| **byte == b'!').count();
            hash[marks..].starts_with(b"$y$")
        })
    };
    shadow.split(|byte| *byte == b'\n').any(|line| hash(line).unwrap_or(false))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apply::login_defs::Method;
    use std::fs;

    #[test]
    fn the_machines_files_go_before_the_vendors() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("usr/lib/pam.d/passwd", "password include common-password");
        write("usr/lib/pam.d/common-password", "password required pam_unix.so sha512");
        write("usr/etc/login.defs", "ENCRYPT_METHOD DES\n");
        let root = Root::open(dir.path()).unwrap();
        let vendors = Configuration::read(&root, b"");
        assert_eq!(vendors.pam.unwrap().method, Some(Method::Sha512));
        assert_eq!(vendors.login_defs.method, Some(Method::Other));

        write("etc/pam.d/common-password", "password required pam_unix.so yescrypt");
        write("etc/login.defs", "ENCRYPT_METHOD SHA512\n");
        let machines = Configuration::read(&root, b"");
        assert_eq!(machines.pam.unwrap().method, Some(Method::Yescrypt));
        assert_eq!(machines.login_defs.method, Some(Method::Sha512));
    }

    #[test]
    fn yescrypt_hashes_are_seen_behind_a_lock_mark_too() {
        assert!(has_yescrypt(b"root:*:1\nuser:!$y$j9T$a$b:1::::::\n"));
        assert!(!has_yescrypt(b"root:$6$a$b:1\n$y$:*:1\nbroken $y$"));
    }
}
