//! `cargo xtask test`: the second command of the README, and all that CI runs.

mod packages;
mod supply_chain;

use std::io;
use std::path::PathBuf;
use std::time::Instant;

use crate::binaries::{self, Binaries, Profile};
use crate::command::{self, CommandError};
use crate::fuzz::Enough;
use crate::workspace::Workspace;
use crate::{agent, arrows, conformance, fuzz, schemathesis};

/// A step failed; those after it did not run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TestError {
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error(transparent)]
    Faults(#[from] binaries::FaultsError),
    #[error(transparent)]
    Arrows(#[from] arrows::ArrowsError),
    #[error(transparent)]
    Fuzz(#[from] fuzz::FuzzError),
    #[error(transparent)]
    Conformance(#[from] conformance::ConformanceError),
    #[error(transparent)]
    Schemathesis(#[from] schemathesis::SchemathesisError),
    /// The file that keeps new packages from starting services.
    #[error("cannot look after {path}")]
    ServicePolicy { path: PathBuf, source: io::Error },
}

/// Runs every step, stops at the first that fails, and says how long it took.
pub(crate) fn run(workspace: &Workspace) -> Result<(), TestError> {
    let begin = Instant::now();
    let outcome = steps(workspace, &|title| println!("\n=== {} {title}", clock(begin)));
    println!("\n=== {} total", clock(begin));
    outcome
}

fn steps(workspace: &Workspace, announce: &dyn Fn(&str)) -> Result<(), TestError> {
    let cargo = |arguments: &str| {
        command::succeed(&mut workspace.cargo(arguments.split_ascii_whitespace()))
    };

    announce("format");
    cargo("fmt --all --check")?;
    cargo("fmt --manifest-path fuzz/Cargo.toml --check")?;
    announce("lints");
    cargo("clippy --workspace --all-targets -- -D warnings")?;
    cargo("clippy -p opencpm-agent --all-targets --features fault-points -- -D warnings")?;
    announce("arrows between the packages");
    arrows::check(workspace)?;
    announce("supply chain: licences, bans, sources, advisories");
    supply_chain::check(workspace)?;
    announce("system packages that fuzzing and the end-to-end tests use");
    packages::prepare()?;
    announce("binaries for the end-to-end tests");
    let agent_faults = binaries::agent_with_faults(workspace)?;
    let binaries = binaries::build(workspace, Profile::Dev)?;
    announce("the static agent");
    let agent_static = agent::build(workspace)?;
    announce("fuzzing, short");
    fuzz::run(workspace, Enough::Runs(fuzz::SHORT), &[])?;
    announce("unit, property and end-to-end tests");
    let Binaries { server, agent } = &binaries;
    let all = ["test", "--workspace", "--exclude", "opencpm-agent", "--no-fail-fast"];
    let mut tests = workspace.cargo(all);
    // tests/src/binaries.rs reads these.
    tests.env("OPENCPM_BIN", server).env("OPENCPM_AGENT_BIN", agent);
    tests.env("OPENCPM_AGENT_STATIC", agent_static).env("OPENCPM_AGENT_FAULTS", agent_faults);
    command::succeed(&mut tests)?;
    announce("published clients, unmodified");
    conformance::check(workspace, &binaries)?;
    announce("requests generated from the OpenAPI document");
    schemathesis::check(workspace, &binaries)?;
    announce("the agent's own tests, which also kill it at chosen points");
    // Last: it leaves this agent where the ordinary one was.
    Ok(cargo("test -p opencpm-agent --features fault-points --no-fail-fast")?)
}

/// Minutes and seconds since the beginning.
fn clock(begin: Instant) -> String {
    let seconds = begin.elapsed().as_secs();
    format!("{:2}:{:02}", seconds / 60, seconds % 60)
}
