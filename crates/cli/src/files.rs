//! Files with secrets: made for their owner only, never over another file, complete or not there.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// Makes a file with mode 0600. Fails when there is one.
pub(crate) fn create_secret(path: &Path, text: &str) -> io::Result<()> {
    create(path, text, 0o600)?;
    sync_folder(path)
}

/// Makes or replaces a file with mode 0600.
pub(crate) fn replace_secret(path: &Path, text: &str) -> io::Result<()> {
    replace(path, text, 0o600)
}

/// Makes or replaces a file that everybody may read.
pub(crate) fn replace_public(path: &Path, text: &str) -> io::Result<()> {
    replace(path, text, 0o644)
}

fn create(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    if written.is_err() {
        // What could be written of it helps nobody.
        drop(std::fs::remove_file(path));
    }
    written
}

/// Under another name first, then renamed, so that nobody ever reads half of it.
fn replace(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let temporary = path.with_file_name(name);
    create(&temporary, text, mode)?;
    std::fs::rename(&temporary, path)?;
    sync_folder(path)
}

/// Makes a folder with mode 0700, and those above it as usual.
pub(crate) fn private_folder(path: &Path) -> io::Result<()> {
    if let Some(above) = path.parent() {
        std::fs::create_dir_all(above)?;
    }
    match std::fs::DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        other => other,
    }
}

fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn a_secret_is_for_its_owner_and_never_over_another_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        create_secret(&path, "a").unwrap();
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
        assert_eq!(create_secret(&path, "b").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        replace_secret(&path, "c").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "c");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
