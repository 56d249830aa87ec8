//! Running other programs: one place that says which one failed, and how.

use std::io;
use std::process::{Command, ExitStatus, Output};

/// A program that was needed did not do its work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    /// It is not there, or may not be run.
    #[error("cannot run `{line}`")]
    Start { line: String, source: io::Error },
    /// It ran and reported a failure, on the terminal where its output is not collected.
    #[error("`{line}` failed ({status})")]
    Failed { line: String, status: ExitStatus },
}

/// Runs it with the terminal as its output and returns how it ended.
pub(crate) fn status(command: &mut Command) -> Result<ExitStatus, CommandError> {
    command.status().map_err(|source| CommandError::Start { line: line(command), source })
}

/// Runs it with the terminal as its output; any end but success is an error.
pub(crate) fn succeed(command: &mut Command) -> Result<(), CommandError> {
    let status = status(command)?;
    succeeded(command, status)
}

/// Runs it and returns what it wrote to standard output; any end but success is an error.
pub(crate) fn text(command: &mut Command) -> Result<String, CommandError> {
    let Output { status, stdout, stderr } =
        command.output().map_err(|source| CommandError::Start { line: line(command), source })?;
    if !status.success() {
        eprint!("{}", String::from_utf8_lossy(&stderr));
    }
    succeeded(command, status)?;
    Ok(String::from_utf8_lossy(&stdout).into_owned())
}

/// Runs it unseen and tells whether it was there and succeeded.
pub(crate) fn works(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

fn succeeded(command: &Command, status: ExitStatus) -> Result<(), CommandError> {
    if status.success() {
        return Ok(());
    }
    Err(CommandError::Failed { line: line(command), status })
}

/// The command as a person would type it, near enough. The environment is left out.
fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
