//! `cargo xtask bench` and `storm`: what release builds do on this machine.

use crate::binaries::{self, Binaries, Profile};
use crate::command::{self, CommandError};
use crate::workspace::Workspace;

/// The largest requests, with so many devices.
pub(crate) fn big_requests(workspace: &Workspace, devices: u32) -> Result<(), CommandError> {
    run(workspace, "big_requests", ("DEVICES", devices))
}

/// So many agents that are cut off at once.
pub(crate) fn storm(workspace: &Workspace, agents: u32) -> Result<(), CommandError> {
    run(workspace, "storm", ("AGENTS", agents))
}

/// Builds what is measured and measures it.
fn run(workspace: &Workspace, name: &str, (what, number): (&str, u32)) -> Result<(), CommandError> {
    let Binaries { server, agent } = binaries::build(workspace, Profile::Release)?;
    let mut bench = workspace.cargo(["bench", "--quiet", "-p", "opencpm-tests", "--bench", name]);
    // tests/src/binaries.rs reads these.
    bench.env("OPENCPM_BIN", server).env("OPENCPM_AGENT_BIN", agent);
    command::succeed(bench.env(what, number.to_string()))
}
