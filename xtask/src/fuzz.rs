//! `cargo xtask fuzz`: foreign bytes for every decoder that sees some. `fuzz/README.md` tells what
//! each target holds to be true, `docs/decisions/` why it is built this way.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{self, CommandError};
use crate::workspace::Workspace;

/// What cargo-fuzz tells the compiler, without a sanitizer, which only a nightly one has: where
/// coverage is counted, and that comparisons are told.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

/// Bounds of one input: bytes, seconds, and MiB of the whole process.
const LIMITS: [&str; 3] = ["-max_len=4096", "-timeout=10", "-rss_limit_mb=2048"];

/// Inputs for each target in the run that is a part of `cargo xtask test`.
pub(crate) const SHORT: u64 = 20_000;

/// When a target has had enough.
#[derive(Clone, Copy)]
pub(crate) enum Enough {
    /// After so many inputs, always the same ones.
    Runs(u64),
    /// After so many seconds; what it learnt is kept for the next time.
    Seconds(u64),
}

/// A target was given bytes that it cannot bear, or could not be run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FuzzError {
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error("cannot look after {path}")]
    Folder { path: PathBuf, source: io::Error },
    #[error("there is no target {0:?} in fuzz/targets")]
    NoTarget(String),
    #[error("`{program}` cannot be run")]
    Start { program: PathBuf, source: io::Error },
    #[error("{0} targets crashed: fuzz/README.md says how to go on")]
    Crashed(usize),
}

/// Builds the targets, runs them one after the other, and sums up. Those named, or all.
pub(crate) fn run(
    workspace: &Workspace,
    enough: Enough,
    named: &[String],
) -> Result<(), FuzzError> {
    let targets = targets(workspace)?;
    if let Some(other) = named.iter().find(|name| !targets.contains(name)) {
        return Err(FuzzError::NoTarget(other.clone()));
    }
    let programs = build(workspace)?;
    let (mut executions, mut crashes) = (0, 0);
    for target in targets.iter().filter(|target| named.is_empty() || named.contains(target)) {
        let outcome = Run { workspace, target, enough }.run(&programs.join(target))?;
        executions += outcome.executions;
        crashes += usize::from(outcome.crash.is_some());
        let told = outcome.crash.as_deref().unwrap_or("0 crashes");
        println!("{target:20} {:>10} executions  {told}", outcome.executions);
    }
    println!("{:20} {executions:>10} executions  {crashes} crashes", "sum");
    if crashes == 0 { Ok(()) } else { Err(FuzzError::Crashed(crashes)) }
}

/// The names of the targets, sorted.
fn targets(workspace: &Workspace) -> Result<Vec<String>, FuzzError> {
    let path = workspace.root.join("fuzz").join("targets");
    let unreadable = |source| FuzzError::Folder { path: path.clone(), source };
    let mut names = Vec::new();
    for entry in fs::read_dir(&path).map_err(unreadable)? {
        let name = entry.map_err(unreadable)?.file_name();
        names.extend(name.to_string_lossy().strip_suffix(".rs").map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

/// Builds them and returns the folder that they are in. The compiler's flags are for the targets
/// only and not for what builds them, which naming the machine's own kind achieves.
fn build(workspace: &Workspace) -> Result<PathBuf, FuzzError> {
    let version = command::text(Command::new("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
    let folder = workspace.target.join("fuzz");
    let build = ["build", "--release", "--manifest-path", "fuzz/Cargo.toml", "--target", host];
    let mut cargo = workspace.cargo(build);
    cargo.arg("--target-dir").arg(&folder).env("RUSTFLAGS", FLAGS);
    command::succeed(&mut cargo)?;
    Ok(folder.join(host).join("release"))
}

/// One target's turn.
struct Run<'a> {
    workspace: &'a Workspace,
    target: &'a str,
    enough: Enough,
}

/// What came of it.
struct Outcome {
    executions: u64,
    /// Where the input is that it could not bear.
    crash: Option<String>,
}

impl Run<'_> {
    fn run(&self, program: &Path) -> Result<Outcome, FuzzError> {
        let crashes = self.folder("crashes")?;
        let mut fuzzer = Command::new(program);
        fuzzer.current_dir(&self.workspace.root).args(LIMITS).arg("-print_final_stats=1");
        fuzzer.arg(format!("-artifact_prefix={}/", crashes.display()));
        // New inputs go into the first folder.
        match self.enough {
            Enough::Runs(runs) => fuzzer
                .args(["-seed=1".to_owned(), format!("-runs={runs}")])
                .arg(self.empty_folder("learnt-shortly")?),
            Enough::Seconds(seconds) => {
                fuzzer.arg(format!("-max_total_time={seconds}")).arg(self.folder("learnt")?)
            }
        };
        for given in ["corpus", "regressions"] {
            let folder = self.workspace.root.join("fuzz").join(given).join(self.target);
            fuzzer.args(Some(folder).filter(|folder| folder.is_dir()));
        }
        let output = fuzzer
            .output()
            .map_err(|source| FuzzError::Start { program: program.to_owned(), source })?;
        let said = String::from_utf8_lossy(&output.stderr);
        let crash = (!output.status.success()).then(|| crash(&said));
        Ok(Outcome { executions: executions(&said), crash })
    }

    /// A folder of this target that is no part of the project.
    fn folder(&self, kind: &str) -> Result<PathBuf, FuzzError> {
        let path = self.workspace.target.join("fuzz").join(kind).join(self.target);
        match fs::create_dir_all(&path) {
            Ok(()) => Ok(path),
            Err(source) => Err(FuzzError::Folder { path, source }),
        }
    }

    fn empty_folder(&self, kind: &str) -> Result<PathBuf, FuzzError> {
        let path = self.folder(kind)?;
        fs::remove_dir_all(&path).map_err(|source| FuzzError::Folder { path, source })?;
        self.folder(kind)
    }
}

/// Libfuzzer's own count; it is told after a crash, too.
fn executions(said: &str) -> u64 {
    let count = said.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    count.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
}

/// What the program said of its crash: why, and where the input is.
fn crash(said: &str) -> String {
    let from = said.find("panicked at").or_else(|| said.find("ERROR: libFuzzer")).unwrap_or(0);
    let why: Vec<_> =
        said[from..].lines().take_while(|l| !l.starts_with("stack")).take(3).collect();
    let input = said.lines().find_map(|line| line.split_once("Test unit written to "));
    let input = input.map_or("nowhere", |(_, path)| path);
    format!("CRASH: {}\n    its input: {input}", why.join("\n    "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CRASHED: &str = "INFO: seed corpus: files: 1\n\
        thread '<unnamed>' (589) panicked at targets/address.rs:14:9:\nit is not the same\nstack backtrace:\n\
        ==589== ERROR: libFuzzer: deadly signal\n\
        stat::number_of_executed_units: 69\n\
        artifact_prefix='/x/'; Test unit written to /x/crash-da39\n";

    #[test]
    fn a_crash_is_told_with_its_reason_and_its_input() {
        let told = crash(CRASHED);
        assert!(told.contains("address.rs:14:9") && told.contains("it is not the same"), "{told}");
        assert!(told.ends_with("its input: /x/crash-da39"), "{told}");
        assert_eq!(executions(CRASHED), 69);
    }

    #[test]
    fn what_was_not_counted_is_none() {
        assert_eq!(executions("no such program"), 0);
    }

    #[test]
    fn every_target_is_built_and_described() {
        let workspace = Workspace::load().unwrap();
        let read = |name: &str| fs::read_to_string(workspace.root.join("fuzz").join(name)).unwrap();
        let (manifest, readme) = (read("Cargo.toml"), read("README.md"));
        for target in targets(&workspace).unwrap() {
            assert!(manifest.contains(&format!("path = \"targets/{target}.rs\"")), "{target}");
            assert!(readme.contains(&format!("| `{target}` |")), "{target}");
        }
    }
}
