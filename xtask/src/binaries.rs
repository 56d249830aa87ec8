//! The two binaries that the project ships, built the way its users build them.

use std::path::PathBuf;

use crate::command::{self, CommandError};
use crate::workspace::Workspace;

/// Where they lie.
pub(crate) struct Binaries {
    pub(crate) server: PathBuf,
    pub(crate) agent: PathBuf,
}

/// How much the compiler is to optimise.
#[derive(Clone, Copy)]
pub(crate) enum Profile {
    /// For the end-to-end tests: shares its dependencies with them.
    Dev,
    /// As operators run it.
    Release,
}

/// Builds both. Packages are named one by one, not `--workspace`: otherwise a feature that only
/// tests ask for would hide that a binary forgot to ask for it.
pub(crate) fn build(workspace: &Workspace, profile: Profile) -> Result<Binaries, CommandError> {
    let (name, folder) = match profile {
        Profile::Dev => ("dev", "debug"),
        Profile::Release => ("release", "release"),
    };
    let arguments = ["build", "--profile", name, "-p", "opencpm", "-p", "opencpm-agent"];
    command::succeed(&mut workspace.cargo(arguments))?;
    let folder = workspace.target.join(folder);
    Ok(Binaries { server: folder.join("opencpm"), agent: folder.join("opencpm-agent") })
}
