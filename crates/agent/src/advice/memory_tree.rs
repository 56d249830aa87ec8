//! A tree in memory, for tests and fuzzing.

use super::{FileSystem, Files, Kind, Unreadable};
use std::collections::{BTreeMap, BTreeSet};

/// Files by path. A path that ends in `/` is not used; directories are there when a file is below.
#[derive(Default)]
pub(super) struct MemoryTree {
    files: BTreeMap<String, Vec<u8>>,
    programs: BTreeSet<String>,
    broken: BTreeSet<String>,
    file_system: FileSystem,
}

impl MemoryTree {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn file(mut self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.files.insert(path.to_owned(), content.as_ref().to_vec());
        self
    }

    /// An executable file.
    pub(super) fn program(mut self, path: &str) -> Self {
        self.programs.insert(path.to_owned());
        self
    }

    /// A file that is there and cannot be read.
    pub(super) fn broken(mut self, path: &str) -> Self {
        self.broken.insert(path.to_owned());
        self
    }

    pub(super) fn on(mut self, file_system: FileSystem) -> Self {
        self.file_system = file_system;
        self
    }

    fn paths(&self) -> impl Iterator<Item = &String> {
        self.files.keys().chain(&self.programs).chain(&self.broken)
    }
}

impl Files for MemoryTree {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, Unreadable> {
        if self.broken.contains(path) {
            return Err(Unreadable::TooLarge);
        }
        Ok(self.files.get(path).cloned())
    }

    fn list(&self, directory: &str) -> Result<Option<Vec<String>>, Unreadable> {
        let prefix = format!("{}/", directory.trim_end_matches('/'));
        let names: BTreeSet<String> = self
            .paths()
            .filter_map(|path| path.strip_prefix(&prefix)?.split('/').next().map(str::to_owned))
            .collect();
        Ok((!names.is_empty()).then(|| names.into_iter().rev().collect()))
    }

    fn kind(&self, path: &str) -> Result<Kind, Unreadable> {
        Ok(if self.programs.contains(path) {
            Kind::Program
        } else if self.files.contains_key(path) || self.broken.contains(path) {
            Kind::Other
        } else if self.list(path)?.is_some() {
            Kind::Directory
        } else {
            Kind::Absent
        })
    }

    fn file_system(&self, _path: &str) -> Result<FileSystem, Unreadable> {
        Ok(self.file_system.clone())
    }
}
