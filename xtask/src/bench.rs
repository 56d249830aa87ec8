//! `cargo xtask bench`: what a release build does with the largest requests, on this machine.

use crate::binaries::{self, Binaries, Profile};
use crate::command::{self, CommandError};
use crate::workspace::Workspace;

/// Builds what is measured and measures it with so many devices.
pub(crate) fn run(workspace: &Workspace, devices: u32) -> Result<(), CommandError> {
    let Binaries { server, agent } = binaries::build(workspace, Profile::Release)?;
    let bench = ["bench", "--quiet", "-p", "opencpm-tests", "--bench", "big_requests"];
    let mut bench = workspace.cargo(bench);
    // tests/src/binaries.rs reads these.
    bench.env("OPENCPM_BIN", server).env("OPENCPM_AGENT_BIN", agent);
    command::succeed(bench.env("DEVICES", devices.to_string()))
}
