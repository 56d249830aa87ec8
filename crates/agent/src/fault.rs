//! Places where a test can kill the agent. Compiled in only with the feature `fault-points`.

use std::fs;

/// The environment variable that names a file; the file holds the name of one point. When that
/// point is reached, the file is removed and the agent is killed as if by SIGKILL.
pub const FAULT_FILE: &str = "OPENCPM_FAULT_FILE";

/// Dies here if a test asked for it.
pub fn reached(point: &str) {
    let Some(path) = std::env::var_os(FAULT_FILE) else { return };
    if fs::read_to_string(&path).is_ok_and(|asked| asked.trim() == point)
        && fs::remove_file(&path).is_ok()
        && let Err(error) =
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)
    {
        tracing::error!(%error, point, "cannot die here");
    }
}
