//! The commands. Answers go to standard output, logs and questions to standard error.

mod arguments;
mod enrol;
mod password;
mod rescue;
mod status;

use std::error::Error;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use getrandom::SysRng;
use rand_core::{TryRng, UnwrapErr};

use crate::agent::{Agent, StartError, Surroundings};
use crate::clock::SystemClock;
use crate::state::{StateDir, StateError};
use crate::{logs, memory};
use arguments::{Arguments, Command, HELP};

/// A command line that makes no sense.
pub const USAGE: u8 = 2;

/// Starting again will not help: the machine is not enrolled, or the state is another machine's or
/// damaged (`EX_CONFIG` of sysexits(3)). A service manager should not restart on it. A state in use
/// is free again soon: an enrolment holds it for a moment.
pub const CONFIGURATION: u8 = 78;

/// Reads the command line and does it.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    memory::return_large_blocks();
    let arguments = match arguments::parse(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            complain(&error);
            tell(io::stderr(), "try: opencpm-agent --help");
            return ExitCode::from(USAGE);
        }
    };
    match perform(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&*error);
            let start = error.downcast_ref::<StartError>();
            let busy = matches!(start, Some(StartError::State(StateError::Busy { .. })));
            if start.is_some() && !busy { ExitCode::from(CONFIGURATION) } else { ExitCode::FAILURE }
        }
    }
}

fn perform(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let filter = arguments.log.or_else(|| std::env::var("RUST_LOG").ok());
    logs::start(filter.as_deref().unwrap_or("info"))?;
    // Before a token, a key or a password is read; a token among the arguments was public before.
    memory::keep_private();
    let (root, state) = (arguments.root, arguments.state);
    check_links(&root, &state)?;
    match arguments.command {
        Command::Help => tell(io::stdout(), HELP),
        Command::Version => {
            tell(io::stdout(), concat!("opencpm-agent ", env!("CARGO_PKG_VERSION")));
        }
        Command::Enrol(order) => enrol::enrol(&root, &state, order)?,
        Command::Run => run(&root, &state)?,
        Command::Status => status::status(&root, &state)?,
        Command::Reset(order) => rescue::reset(&root, &order)?,
    }
    Ok(())
}

/// The system's randomness, tried once: what works here keeps working.
fn randomness() -> Result<UnwrapErr<SysRng>, NoRandomness> {
    let mut rng = SysRng;
    rng.try_next_u32().map_err(NoRandomness)?;
    Ok(UnwrapErr(rng))
}

/// The kernel gives no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the system gives no random bytes: neither getrandom(2) nor /dev/urandom works here")]
struct NoRandomness(#[source] getrandom::Error);

fn run(root: &Path, state: &Path) -> Result<(), Box<dyn Error>> {
    let mut rng = randomness()?;
    let surroundings = Surroundings::system(root, &SystemClock, &mut rng)?;
    let directory = StateDir::open(state).map_err(StartError::from)?;
    let mut agent = Agent::load(surroundings, directory)?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), root = %root.display(), "starting");
    crate::run::run(&mut agent);
    Ok(())
}

/// Below a mounted disk's root a link leads to the rescue system's own files, whatever it meant.
fn check_links(root: &Path, state: &Path) -> Result<(), LinkError> {
    let Ok(below) = state.strip_prefix(root) else { return Ok(()) };
    if root == Path::new("/") {
        return Ok(());
    }
    let mut path = root.to_owned();
    for component in below {
        path.push(component);
        if path.is_symlink() {
            return Err(LinkError(path));
        }
    }
    Ok(())
}

/// The state's path leads out of the tree.
#[derive(Debug, thiserror::Error)]
#[error("{0} is a symbolic link, which may lead out of --root: name the directory with --state")]
struct LinkError(PathBuf);

/// Where the state of the system below `root` is unless the command line says otherwise.
fn usual_state(root: &Path) -> PathBuf {
    root.join("var/lib/opencpm-agent")
}

/// One line; nobody is left to tell when it cannot be written.
fn tell(mut to: impl Write, line: &str) {
    let _written = writeln!(to, "{}", line.trim_end());
}

/// The error and what caused it, on one line.
fn complain(error: &dyn Error) {
    let mut text = format!("opencpm-agent: {error}");
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    tell(io::stderr(), &text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_below_another_root_is_refused_and_one_outside_is_the_operators() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        check_links(root, &usual_state(root)).unwrap();
        std::os::unix::fs::symlink("/var", root.join("var")).unwrap();
        let refused = check_links(root, &usual_state(root)).unwrap_err();
        assert!(refused.to_string().contains("--state"), "{refused}");
        check_links(Path::new("/"), &root.join("var/lib")).unwrap();
        check_links(root, Path::new("/srv/state")).unwrap();
    }
}
