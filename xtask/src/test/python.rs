//! The public Python SDK, unmodified, in a virtual environment of its own below the target folder.

use std::path::PathBuf;
use std::process::Command;

use crate::command::{self, CommandError};
use crate::workspace::Workspace;

/// The last release of the 2.0 SDK on PyPI; it is what users of the API have in their scripts.
const SDK: &str = "qcloudapi-sdk-python==2.0.15";

/// Succeeds when the SDK is there in that release.
const CHECK: &str = "\
import QcloudApi, importlib.metadata
assert importlib.metadata.version('qcloudapi-sdk-python') == '2.0.15'";

/// Installs the SDK unless it is there, and returns the Python that can import it. Without a
/// Python the path leads nowhere, and the tests that need it say so.
pub(super) fn prepare(workspace: &Workspace) -> Result<PathBuf, CommandError> {
    let folder = workspace.target.join("python-sdk");
    let python = folder.join("bin").join("python");
    if command::works(Command::new(&python).args(["-c", CHECK])) {
        println!("already there");
        return Ok(python);
    }
    if !command::works(Command::new("python3").args(["-c", "import venv, ensurepip"])) {
        println!("left out: no Python with venv");
        return Ok(python);
    }
    command::succeed(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", SDK];
    command::succeed(Command::new(&python).args(pip))?;
    command::succeed(Command::new(&python).args(["-c", CHECK]))?;
    Ok(python)
}
