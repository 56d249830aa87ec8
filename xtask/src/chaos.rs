//! `cargo xtask chaos`: a cluster of real processes under load, and one fault a round.

use std::process::Command;

use crate::binaries::{self, Binaries, Profile};
use crate::command::{self, CommandError};
use crate::workspace::Workspace;

/// So many rounds, one seed; stops at the first round that fails if it is to.
pub(crate) struct Rounds {
    pub(crate) number: u32,
    pub(crate) seed: Option<u64>,
    pub(crate) embedded: bool,
    pub(crate) stop: bool,
}

/// Builds everything and runs so many rounds.
pub(crate) fn run(workspace: &Workspace, rounds: &Rounds) -> Result<(), CommandError> {
    check(workspace, &binaries::build(workspace, Profile::Dev)?, rounds)
}

/// The rounds that are a part of `cargo xtask test`: the same choices each time.
pub(crate) const SHORT: Rounds = Rounds { number: 60, seed: Some(1), embedded: false, stop: false };

/// Runs so many rounds with these binaries.
pub(crate) fn check(
    workspace: &Workspace,
    binaries: &Binaries,
    rounds: &Rounds,
) -> Result<(), CommandError> {
    let Binaries { server, agent } = binaries;
    let build = ["build", "--quiet", "-p", "opencpm-tests", "--bin", "chaos"];
    command::succeed(&mut workspace.cargo(build))?;
    let program = workspace.target.join("debug/chaos");
    let mut chaos = if rustix::process::geteuid().is_root() {
        // What it mounts is gone with it, however it ends.
        let mut unshare = Command::new("unshare");
        unshare.args(["--mount", "--"]).arg(program);
        unshare
    } else {
        println!("not root: no disk will be filled");
        Command::new(program)
    };
    chaos.args(["--rounds", &rounds.number.to_string()]);
    chaos.args(rounds.seed.iter().flat_map(|seed| ["--seed".to_owned(), seed.to_string()]));
    chaos.args(rounds.embedded.then_some("--embedded"));
    chaos.args(rounds.stop.then_some("--stop"));
    // tests/src/binaries.rs reads these.
    chaos.env("OPENCPM_BIN", server).env("OPENCPM_AGENT_BIN", agent);
    command::succeed(&mut chaos)
}
