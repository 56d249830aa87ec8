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
use crate::{agent, arrows, chaos, conformance, fuzz, schemathesis};

/// A step failed.
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

/// Its title, and what it does.
type Check<'a> = (&'a str, &'a dyn Fn() -> Result<(), TestError>);

/// Runs every step and says how long it took. What others build on stops the run when it fails;
/// after the binaries are there, each step runs, so that one run tells everything that is wrong.
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
    let checks: [Check<'_>; 7] = [
        ("fuzzing, short", &|| Ok(fuzz::run(workspace, Enough::Runs(fuzz::SHORT), &[])?)),
        ("unit, property and end-to-end tests", &|| {
            let all = ["test", "--workspace", "--exclude", "opencpm-agent", "--no-fail-fast"];
            let mut tests = workspace.cargo(all);
            let Binaries { server, agent } = &binaries;
            // tests/src/binaries.rs reads these.
            tests.env("OPENCPM_BIN", server).env("OPENCPM_AGENT_BIN", agent);
            tests.env("OPENCPM_AGENT_STATIC", &agent_static);
            tests.env("OPENCPM_AGENT_FAULTS", &agent_faults);
            Ok(command::succeed(&mut tests)?)
        }),
        ("published clients, unmodified", &|| Ok(conformance::check(workspace, &binaries)?)),
        ("published clients are told what is away", &|| {
            Ok(conformance::truth(workspace, &binaries, &agent_faults)?)
        }),
        ("requests generated from the OpenAPI document", &|| {
            Ok(schemathesis::check(workspace, &binaries)?)
        }),
        ("faults, one a round, in a cluster under load", &|| {
            Ok(chaos::check(workspace, &binaries, &chaos::SHORT)?)
        }),
        // Last: it leaves this agent where the ordinary one was.
        ("the agent's own tests, which also kill it at chosen points", &|| {
            Ok(cargo("test -p opencpm-agent --features fault-points --no-fail-fast")?)
        }),
    ];
    let run = |(title, check): Check<'_>| {
        announce(title);
        check().inspect_err(|error| println!("\nFAILED: {title}: {error}"))
    };
    // All of them, then the first failure.
    let outcomes: Vec<_> = checks.into_iter().map(run).collect();
    outcomes.into_iter().collect()
}

/// Minutes and seconds since the beginning.
fn clock(begin: Instant) -> String {
    let seconds = begin.elapsed().as_secs();
    format!("{:2}:{:02}", seconds / 60, seconds % 60)
}
