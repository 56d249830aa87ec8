//! `cargo xtask footprint`: is the static agent as small and as quiet as promised?

mod lab;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use self::lab::{Lab, LabError};
use crate::agent;
use crate::binaries::{self, Profile};
use crate::command::CommandError;
use crate::workspace::Workspace;

/// The binary on disk, in KiB.
const MAX_SIZE: u64 = 4 * 1024;
/// Its resident memory when idle and connected over TLS, in KiB.
const MAX_RESIDENT: u64 = 4 * 1024;
/// One does everything.
const MAX_THREADS: u64 = 1;
/// A minute of idleness: timers of its own at most every 30 s, the server's ping every 45 s with
/// jitter.
const MAX_WAKE_UPS: u64 = 4;

/// After its work the agent is given this long to come to rest before it is watched.
const SETTLE: Duration = Duration::from_secs(5);
const WATCH: Duration = Duration::from_secs(60);

/// The agent is too large or too busy, or it could not be measured.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FootprintError {
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error(transparent)]
    Lab(#[from] LabError),
    #[error("cannot read {path}")]
    Read { path: PathBuf, source: io::Error },
    #[error("{path} does not tell {field}")]
    Field { path: PathBuf, field: &'static str },
    #[error("above the limit: {names}")]
    Above { names: String },
}

/// Builds the static agent, lets it reset a password in a lab of one machine, watches it idle for
/// a minute, and compares what it used with the limits.
pub(crate) fn run(workspace: &Workspace) -> Result<(), FootprintError> {
    let agent = agent::build(workspace)?;
    let server = binaries::build(workspace, Profile::Release)?.server;
    let size = fs::metadata(&agent)
        .map_err(|source| FootprintError::Read { path: agent.clone(), source })?
        .len();
    let idle = watched(&server, &agent, &workspace.target.join("footprint"))?;
    judge(&[
        Measure { name: "size on disk, KiB", found: size.div_ceil(1024), limit: MAX_SIZE },
        Measure { name: "resident when idle, KiB", found: idle.resident, limit: MAX_RESIDENT },
        Measure { name: "threads", found: idle.threads, limit: MAX_THREADS },
        Measure { name: "wake-ups in a minute", found: idle.wake_ups, limit: MAX_WAKE_UPS },
    ])
}

struct Measure {
    name: &'static str,
    found: u64,
    limit: u64,
}

fn judge(measures: &[Measure]) -> Result<(), FootprintError> {
    for Measure { name, found, limit } in measures {
        println!("{name:<24} {found:>6}  at most {limit:>5}");
    }
    let above = measures.iter().filter(|measure| measure.found > measure.limit);
    let names = above.map(|measure| measure.name).collect::<Vec<_>>().join("; ");
    if names.is_empty() { Ok(()) } else { Err(FootprintError::Above { names }) }
}

/// What the agent uses while it has nothing to do.
struct Idle {
    /// In KiB.
    resident: u64,
    threads: u64,
    wake_ups: u64,
}

/// The reset comes first because hashing needs much memory for a moment: the promise is that the
/// agent gives it back.
fn watched(server: &Path, agent: &Path, folder: &Path) -> Result<Idle, FootprintError> {
    let lab = Lab::start(server, agent, folder)?;
    lab.reset_password()?;
    thread::sleep(SETTLE);
    let process = lab.agent_process()?;
    let wake_ups = || field(&process.join("status"), "voluntary_ctxt_switches");
    let before = wake_ups()?;
    thread::sleep(WATCH);
    // The kernel's quick figure may lag behind, the exact one does not.
    let quick = field(&process.join("status"), "VmRSS")?;
    let exact = field(&process.join("smaps_rollup"), "Rss")?;
    let threads = field(&process.join("status"), "Threads")?;
    Ok(Idle { resident: quick.max(exact), threads, wake_ups: wake_ups()?.saturating_sub(before) })
}

/// A number of a file under /proc/PID (proc_pid_status(5)); amounts of memory are in KiB.
fn field(path: &Path, name: &'static str) -> Result<u64, FootprintError> {
    let text = fs::read_to_string(path)
        .map_err(|source| FootprintError::Read { path: path.to_owned(), source })?;
    number(&text, name).ok_or_else(|| FootprintError::Field { path: path.to_owned(), field: name })
}

fn number(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let status = "RssAnon:\t     100 kB\nRss:                1780 kB\nThreads:\t1\n";
        assert_eq!(number(status, "Rss"), Some(1780));
        assert_eq!(number(status, "Threads"), Some(1));
        assert_eq!(number(status, "VmRSS"), None);
    }

    #[test]
    fn the_limit_itself_is_allowed_and_what_is_above_is_named() {
        let at = |found| Measure { name: "threads", found, limit: 1 };
        assert!(judge(&[at(1)]).is_ok());
        assert_eq!(judge(&[at(1), at(2)]).unwrap_err().to_string(), "above the limit: threads");
    }
}
