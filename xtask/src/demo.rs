//! `cargo xtask demo`: the first command of the README.

use std::process::{Command, ExitCode};

use crate::binaries::{self, Profile};
use crate::command::{self, CommandError};
use crate::workspace::Workspace;

/// Builds both binaries and runs `opencpm lab --demo` with the further arguments. The demo's exit
/// code is ours.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<ExitCode, CommandError> {
    let binaries = binaries::build(workspace, Profile::Release)?;
    let mut lab = Command::new(binaries.server);
    let status = command::status(lab.args(["lab", "--demo"]).args(arguments))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
