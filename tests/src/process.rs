//! Processes that tests start.

use std::ffi::OsStr;
use std::process::Command;

/// A command that is killed when the thread that starts it ends, so that a test that was itself
/// killed leaves nothing behind.
pub fn mortal(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}
