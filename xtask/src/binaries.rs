//! The two binaries that the project ships, built the way its users build them.

use std::io;
use std::path::PathBuf;

use crate::command::{self, CommandError};
use crate::workspace::Workspace;

/// Where they lie.
pub(crate) struct Binaries {
    pub(crate) server: PathBuf,
    pub(crate) agent: PathBuf,
}

/// The agent for fault tests cannot be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FaultsError {
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error("cannot keep the agent for fault tests as {path}")]
    Keep { path: PathBuf, source: io::Error },
}

/// How much the compiler is to optimise.
#[derive(Clone, Copy)]
pub(crate) enum Profile {
    /// For the end-to-end tests: shares its dependencies with them.
    Dev,
    /// As operators run it.
    Release,
}

/// Builds the agent that dies at chosen points when a test asks for it. Before [`build`], which
/// puts the ordinary agent in its place again: this one is kept under a name of its own.
pub(crate) fn agent_with_faults(workspace: &Workspace) -> Result<PathBuf, FaultsError> {
    // With the same packages, so with the same dependencies, as the ordinary one.
    let arguments = ["build", "-p", "opencpm", "-p", "opencpm-agent", "--features", FAULTS];
    command::succeed(&mut workspace.cargo(arguments))?;
    let folder = workspace.target.join("debug");
    let (made, kept) = (folder.join("opencpm-agent"), folder.join("opencpm-agent-with-faults"));
    std::fs::copy(made, &kept)
        .map_err(|source| FaultsError::Keep { path: kept.clone(), source })?;
    Ok(kept)
}

/// The agent's feature that only tests use.
const FAULTS: &str = "opencpm-agent/fault-points";

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
