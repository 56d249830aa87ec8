//! `cargo xtask conformance`: the published clients against a lab, and the document that says so.

pub(crate) mod install;

use crate::binaries::{self, Binaries, Profile};
use crate::command::{self, CommandError};
use crate::workspace::Workspace;

pub(crate) use install::InstallError;

/// The suite did not run, or found something.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConformanceError {
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error(transparent)]
    Install(#[from] InstallError),
}

/// The document that the suite writes.
const DOCUMENT: &str = "docs/compatibility.md";

/// Tries one client, or all of them and writes the document.
pub(crate) fn run(workspace: &Workspace, client: Option<&str>) -> Result<(), ConformanceError> {
    let binaries = binaries::build(workspace, Profile::Dev)?;
    match client {
        Some(client) => suite(workspace, &binaries, ["try", client]),
        None => suite(workspace, &binaries, ["write", DOCUMENT]),
    }
}

/// Tries all clients and compares the document with what was found.
pub(crate) fn check(workspace: &Workspace, binaries: &Binaries) -> Result<(), ConformanceError> {
    suite(workspace, binaries, ["compare", DOCUMENT])
}

fn suite(
    workspace: &Workspace,
    Binaries { server, agent }: &Binaries,
    order: [&str; 2],
) -> Result<(), ConformanceError> {
    let clients = workspace.target.join("clients");
    install::all(&workspace.root.join(CLIENTS), &clients)?;
    let run = ["run", "--quiet", "-p", "opencpm-tests", "--bin", "conformance", "--"];
    let mut suite = workspace.cargo(run.into_iter().chain(order));
    // tests/src/binaries.rs reads these.
    suite.env("OPENCPM_BIN", server).env("OPENCPM_AGENT_BIN", agent);
    suite.env("OPENCPM_CLIENTS", clients);
    Ok(command::succeed(&mut suite)?)
}

/// A folder for each client, with its package and everything that this needs, in exact versions.
const CLIENTS: &str = "tests/clients";
