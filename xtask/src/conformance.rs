//! `cargo xtask conformance`: the published clients against a lab, and the document that says so.

pub(crate) mod install;

use std::path::Path;
use std::process::Command;

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
    Faults(#[from] binaries::FaultsError),
    #[error(transparent)]
    Install(#[from] InstallError),
}

/// In place of a client's name: what some of them are told of parts that are away.
const TRUTH: &str = "truth";

/// The document that the suite writes.
const DOCUMENT: &str = "docs/compatibility.md";

/// Tries one client, or all of them and writes the document.
pub(crate) fn run(workspace: &Workspace, client: Option<&str>) -> Result<(), ConformanceError> {
    if client == Some(TRUTH) {
        let agent_with_faults = binaries::agent_with_faults(workspace)?;
        let binaries = binaries::build(workspace, Profile::Dev)?;
        return truth(workspace, &binaries, &agent_with_faults);
    }
    let binaries = binaries::build(workspace, Profile::Dev)?;
    let order = client.map_or(["write", DOCUMENT], |client| ["try", client]);
    Ok(command::succeed(&mut suite(workspace, &binaries, &order)?)?)
}

/// Tries all clients and compares the document with what was found.
pub(crate) fn check(workspace: &Workspace, binaries: &Binaries) -> Result<(), ConformanceError> {
    Ok(command::succeed(&mut suite(workspace, binaries, &["compare", DOCUMENT])?)?)
}

/// Has some clients told what is away, in a deployment of several nodes.
pub(crate) fn truth(
    workspace: &Workspace,
    binaries: &Binaries,
    agent_with_faults: &Path,
) -> Result<(), ConformanceError> {
    let mut suite = suite(workspace, binaries, &[TRUTH])?;
    Ok(command::succeed(suite.env("OPENCPM_AGENT_FAULTS", agent_with_faults))?)
}

/// The suite with this order, once the clients are installed.
fn suite(
    workspace: &Workspace,
    Binaries { server, agent }: &Binaries,
    order: &[&str],
) -> Result<Command, ConformanceError> {
    let clients = workspace.target.join("clients");
    install::all(&workspace.root.join(CLIENTS), &clients)?;
    let run = ["run", "--quiet", "-p", "opencpm-tests", "--bin", "conformance", "--"];
    let mut suite = workspace.cargo(run.into_iter().chain(order.iter().copied()));
    // tests/src/binaries.rs reads these.
    suite.env("OPENCPM_BIN", server).env("OPENCPM_AGENT_BIN", agent);
    suite.env("OPENCPM_CLIENTS", clients);
    Ok(suite)
}

/// A folder for each client, with its package and everything that this needs, in exact versions.
const CLIENTS: &str = "tests/clients";
