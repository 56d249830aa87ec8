//! The keys that are no part of the store: the master key, the root key and its public half, and
//! the key of a node without the API role.
//! Each is one line of text that names its kind, so that two files cannot be mistaken.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use opencpm_domain::{hex_to_bytes, to_hex};
use opencpm_operations::first_start::new_root_key;
use opencpm_operations::keyring::MasterKey;
use opencpm_operations::port::Random;
use opencpm_protocol::key::{SigningKey, VerifyingKey};
use zeroize::Zeroizing;

use crate::files;

const MASTER: &str = "opencpm-master-key-1";
const ROOT: &str = "opencpm-root-key-1";
const ROOT_PUBLIC: &str = "opencpm-root-public-key-1";
const NODE: &str = "opencpm-node-key-1";

/// A key file cannot be used. Never holds a part of its content.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyFileError {
    /// Not there, or not ours to read.
    #[error("the key file {} cannot be read", .0.display())]
    Read(PathBuf, #[source] io::Error),
    /// Others can read it.
    #[error("the key file {} may be read by others (mode {mode:04o}): chmod 600 it", .path.display())]
    Mode {
        /// Which.
        path: PathBuf,
        /// As it is.
        mode: u32,
    },
    /// Another file, or a damaged one.
    #[error("the file {} does not hold what it should: one line, {expected} and 64 hexadecimal digits", .path.display())]
    Content {
        /// Which.
        path: PathBuf,
        /// The word that the line begins with.
        expected: &'static str,
    },
    /// It could not be made.
    #[error("the key file {} cannot be made", .0.display())]
    Make(PathBuf, #[source] io::Error),
    /// A key of another deployment.
    #[error("{} is not the root key that {} belongs to", .root.display(), .public.display())]
    OtherRoot {
        /// The secret half.
        root: PathBuf,
        /// The public half.
        public: PathBuf,
    },
}

/// Reads the master key.
pub(super) fn master(path: &Path) -> Result<MasterKey, KeyFileError> {
    secret(path, MASTER).map(MasterKey::new)
}

/// Reads the master key, or makes it where there is none: at the first start.
pub(super) fn master_or_new(path: &Path, random: &dyn Random) -> Result<MasterKey, KeyFileError> {
    if !path.exists() {
        write(path, MASTER, &Zeroizing::new(random.bytes()))?;
    }
    master(path)
}

/// Reads the root key; `None` when it was taken away, as it should be.
pub(super) fn root(path: &Path) -> Result<Option<SigningKey>, KeyFileError> {
    match secret(path, ROOT) {
        Ok(key) => Ok(Some(SigningKey::from_bytes(&key))),
        Err(KeyFileError::Read(_, error)) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads the root key, or makes it where there is none: at the first start.
pub(super) fn root_or_new(path: &Path, random: &dyn Random) -> Result<SigningKey, KeyFileError> {
    if let Some(key) = root(path)? {
        return Ok(key);
    }
    let key = new_root_key(random);
    write(path, ROOT, &key.to_bytes())?;
    Ok(key)
}

/// Reads the key of a node without the API role.
pub(super) fn node(path: &Path) -> Result<SigningKey, KeyFileError> {
    secret(path, NODE).map(|key| SigningKey::from_bytes(&key))
}

/// Reads the node's key, or makes it where there is none: before the node joins.
pub(super) fn node_or_new(path: &Path, random: &dyn Random) -> Result<SigningKey, KeyFileError> {
    if !path.exists() {
        write(path, NODE, &Zeroizing::new(random.bytes()))?;
    }
    node(path)
}

/// Reads the root key's public half, which everything that the root key signed is checked with.
pub(super) fn root_public(path: &Path) -> Result<VerifyingKey, KeyFileError> {
    let text = read(path).map_err(|error| KeyFileError::Read(path.to_owned(), error))?;
    parse(path, &text, ROOT_PUBLIC).map(|bytes| VerifyingKey::from_bytes(*bytes))
}

/// Keeps the root key's public half where it is not there yet, and checks that it is this key's.
pub(super) fn keep_root_public(
    path: &Path,
    root: (&Path, &SigningKey),
) -> Result<VerifyingKey, KeyFileError> {
    if !path.exists() {
        write_root_public(path, &root.1.public())?;
    }
    let public = root_public(path)?;
    if public == root.1.public() {
        return Ok(public);
    }
    Err(KeyFileError::OtherRoot { root: root.0.to_owned(), public: path.to_owned() })
}

/// Keeps the root key's public half, as a token told it.
pub(super) fn write_root_public(path: &Path, root: &VerifyingKey) -> Result<(), KeyFileError> {
    write(path, ROOT_PUBLIC, root.as_bytes())
}

fn write(path: &Path, kind: &str, key: &[u8; 32]) -> Result<(), KeyFileError> {
    let line = Zeroizing::new(format!("{kind} {}\n", to_hex(key)));
    // Nobody else is at work in the folder, and a start that is killed here leaves no half of it.
    files::replace_secret(path, &line).map_err(|error| KeyFileError::Make(path.to_owned(), error))
}

fn secret(path: &Path, kind: &'static str) -> Result<Zeroizing<[u8; 32]>, KeyFileError> {
    let unreadable = |error| KeyFileError::Read(path.to_owned(), error);
    let mode = path.metadata().map_err(unreadable)?.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(KeyFileError::Mode { path: path.to_owned(), mode });
    }
    parse(path, &read(path).map_err(unreadable)?, kind)
}

/// Far longer than any key's line.
const LONGEST: u64 = 1024;

fn read(path: &Path) -> io::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::with_capacity(LONGEST as usize));
    File::open(path)?.take(LONGEST).read_to_string(&mut text)?;
    Ok(text)
}

fn parse(path: &Path, text: &str, kind: &'static str) -> Result<Zeroizing<[u8; 32]>, KeyFileError> {
    let digits = text.trim_end().strip_prefix(kind).and_then(|rest| rest.strip_prefix(' '));
    let bytes = digits.and_then(hex_to_bytes).map(Zeroizing::new);
    let key = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes.as_slice()).ok());
    let wrong = || KeyFileError::Content { path: path.to_owned(), expected: kind };
    key.map(Zeroizing::new).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::SystemRandom;
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_is_made_once_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let (path, public) = (folder.path().join("root.key"), folder.path().join("root.pub"));
        assert!(root(&path).unwrap().is_none());
        let made = root_or_new(&path, &SystemRandom).unwrap();
        let again = root_or_new(&path, &SystemRandom).unwrap();
        assert_eq!(made.public(), again.public());
        assert_eq!(keep_root_public(&public, (&path, &made)).unwrap(), made.public());
        let other = new_root_key(&SystemRandom);
        let refused = keep_root_public(&public, (&path, &other));
        assert!(matches!(refused, Err(KeyFileError::OtherRoot { .. })));
    }

    #[test]
    fn a_key_that_others_can_read_is_refused_with_the_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        master_or_new(&path, &SystemRandom).unwrap();
        set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let Err(error) = master(&path) else { panic!("accepted") };
        assert!(error.to_string().contains("0644") && error.to_string().contains("chmod 600"));
    }

    #[test]
    fn a_file_of_another_kind_is_refused_and_not_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.key");
        root_or_new(&path, &SystemRandom).unwrap();
        let Err(error) = master(&path) else { panic!("accepted") };
        let digits = read(&path).unwrap().split_once(' ').unwrap().1.trim().to_owned();
        assert!(error.to_string().contains(MASTER) && !error.to_string().contains(&digits));
    }
}
