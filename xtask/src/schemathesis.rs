//! `cargo xtask schemathesis`: cases generated from the OpenAPI document, against a lab.

use crate::binaries::{self, Binaries, Profile};
use crate::command::{self, CommandError};
use crate::conformance::install::{self, InstallError};
use crate::workspace::Workspace;

/// The cases did not run, or found something.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SchemathesisError {
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error(transparent)]
    Install(#[from] InstallError),
}

/// So many examples of each operation take about a minute with the boundary values.
pub(crate) const SHORT: u32 = 30;

/// The same cases each time.
pub(crate) const SEED: u32 = 4;

/// Builds the binaries and tries so many examples of each operation.
pub(crate) fn run(
    workspace: &Workspace,
    examples: u32,
    seed: u32,
) -> Result<(), SchemathesisError> {
    let binaries = binaries::build(workspace, Profile::Dev)?;
    try_examples(workspace, &binaries, examples, seed)
}

/// Tries what takes about a minute, always the same.
pub(crate) fn check(workspace: &Workspace, binaries: &Binaries) -> Result<(), SchemathesisError> {
    try_examples(workspace, binaries, SHORT, SEED)
}

fn try_examples(
    workspace: &Workspace,
    Binaries { server, agent }: &Binaries,
    examples: u32,
    seed: u32,
) -> Result<(), SchemathesisError> {
    let folder = workspace.target.join("schemathesis");
    install::one(&workspace.root.join("tests/schemathesis"), &folder)?;
    let program = folder.join("bin/schemathesis");
    if !program.exists() {
        return Ok(());
    }
    let run = ["run", "--quiet", "-p", "opencpm-tests", "--bin", "schemathesis", "--"];
    let mut cases = workspace.cargo(run);
    cases.args([examples.to_string(), seed.to_string()]);
    // tests/src/binaries.rs reads these.
    cases.env("OPENCPM_BIN", server).env("OPENCPM_AGENT_BIN", agent);
    cases.env("OPENCPM_SCHEMATHESIS", program);
    Ok(command::succeed(&mut cases)?)
}
