//! A directory that stands for a machine's root.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use opencpm_agent::apply::{
    Applied, Failure, Order, Oversight, Root, SALT_BYTES, Unattended, reset,
};
use opencpm_domain::{Password, PasswordPolicy};
use tempfile::TempDir;

pub(crate) const TODAY: u64 = 20_500;
pub(crate) const PASSWORD: &str = "abce1234";
pub(crate) const SHADOW: &str = "root:$6$old$old:19000:0:99999:7:::\ndaemon:*:19000:0:99999:7:::\n";
/// The cheapest hash that there is.
const LOGIN_DEFS: &str = "ENCRYPT_METHOD SHA512\nSHA_CRYPT_MAX_ROUNDS 1000\n";

pub(crate) struct Scratch {
    root: PathBuf,
    _owned: Option<TempDir>,
}

impl Scratch {
    /// With these bytes as its shadow file.
    pub(crate) fn new(shadow: impl AsRef<[u8]>) -> Self {
        Self::in_directory(tempfile::tempdir().unwrap(), shadow)
    }

    pub(crate) fn in_directory(directory: TempDir, shadow: impl AsRef<[u8]>) -> Self {
        let root = directory.path().to_owned();
        Self { _owned: Some(directory), ..Self::at(root, shadow) }
    }

    /// In a directory that somebody else removes.
    pub(crate) fn at(root: PathBuf, shadow: impl AsRef<[u8]>) -> Self {
        fs::create_dir_all(root.join("etc")).unwrap();
        let scratch = Self { root, _owned: None };
        scratch.write("etc/shadow", shadow);
        scratch.write("etc/login.defs", LOGIN_DEFS);
        scratch
    }

    /// One that exists already.
    pub(crate) fn existing(root: PathBuf) -> Self {
        Self { root, _owned: None }
    }

    pub(crate) fn write(&self, path: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    pub(crate) fn root(&self) -> Root {
        Root::open(&self.root).unwrap()
    }

    pub(crate) fn shadow(&self) -> String {
        fs::read_to_string(self.path("etc/shadow")).unwrap()
    }

    pub(crate) fn names_in_etc(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("etc")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }

    /// Sets root's password; waits for locks as briefly as may be.
    pub(crate) fn reset(&self) -> Result<Applied, Failure> {
        self.reset_with(PASSWORD, &mut Unattended)
    }

    pub(crate) fn reset_with(
        &self,
        password: &str,
        oversight: &mut dyn Oversight,
    ) -> Result<Applied, Failure> {
        let password = Password::new(password.into(), PasswordPolicy::Seed).unwrap();
        let order = Order {
            password: &password,
            today: TODAY,
            issued: TODAY - 1,
            wait: Duration::from_secs(5),
            salt: [7; SALT_BYTES],
        };
        reset(&self.root(), &order, oversight)
    }
}

/// The second field of root's line.
pub(crate) fn hash_in(shadow: &str) -> &str {
    let line = shadow.lines().find(|line| line.starts_with("root:")).unwrap();
    line.split(':').nth(1).unwrap()
}

/// Temporary directories on whatever file systems there are, the usual one first.
pub(crate) fn temporary_directories() -> impl Iterator<Item = TempDir> {
    let usual = std::env::temp_dir();
    [usual.as_path(), Path::new("/var/tmp"), Path::new(env!("CARGO_TARGET_TMPDIR"))]
        .map(Path::to_owned)
        .into_iter()
        .chain([PathBuf::from("/dev/shm")])
        .filter_map(|parent| TempDir::new_in(parent).ok())
}
