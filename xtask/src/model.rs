//! `cargo xtask model`: the checked model, as deep as one has time and memory for.

use crate::command::{self, CommandError};
use crate::workspace::Workspace;

/// Builds the model for speed and looks at every state within the bounds.
pub(crate) fn run(workspace: &Workspace, bounds: &[String]) -> Result<(), CommandError> {
    let run = ["run", "--quiet", "--release", "-p", "opencpm-model", "--"];
    command::succeed(workspace.cargo(run).args(bounds))
}
