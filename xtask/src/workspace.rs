//! The workspace as cargo sees it: where it lies, where it builds to, and its packages.

use std::path::PathBuf;
use std::process::Command;

use serde::Deserialize;

use crate::command::{self, CommandError};

/// The answer of `cargo metadata`, as far as it is used here.
/// Format: the Cargo book, "cargo metadata", format version 1.
#[derive(Deserialize)]
pub(crate) struct Workspace {
    #[serde(rename = "workspace_root")]
    pub(crate) root: PathBuf,
    #[serde(rename = "target_directory")]
    pub(crate) target: PathBuf,
    pub(crate) packages: Vec<Package>,
}

#[derive(Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// What for: absent for a normal dependency, else `dev` or `build`.
    pub(crate) kind: Option<String>,
    /// Where it lies, for a package that does not come from a registry.
    pub(crate) path: Option<PathBuf>,
}

/// The workspace cannot be looked at.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WorkspaceError {
    #[error("cargo does not describe the workspace")]
    Cargo(#[from] CommandError),
    #[error("cargo's description of the workspace is not in the expected form")]
    Form(#[from] serde_json::Error),
}

impl Workspace {
    /// Asks cargo. Needs no network.
    pub(crate) fn load() -> Result<Self, WorkspaceError> {
        let metadata = ["metadata", "--no-deps", "--offline", "--format-version", "1"];
        let mut cargo = plain_cargo();
        cargo.args(metadata).current_dir(env!("CARGO_MANIFEST_DIR"));
        Ok(serde_json::from_str(&command::text(&mut cargo)?)?)
    }

    /// Cargo at the workspace's root, with the arguments.
    pub(crate) fn cargo<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        let mut cargo = plain_cargo();
        cargo.args(arguments).current_dir(&self.root);
        cargo
    }
}

/// Cargo without what `cargo run` told us about our own package. Some build scripts ask to run
/// again when these variables change, and would do so at every turn between `cargo xtask test`
/// and a direct `cargo test`.
fn plain_cargo() -> Command {
    let mut cargo = Command::new("cargo");
    for (name, _) in std::env::vars_os() {
        let ours = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"];
        if ours.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            cargo.env_remove(name);
        }
    }
    cargo
}
