//! `opencpm lab`: a whole deployment to try out.

use std::path::PathBuf;

use clap::Args;

use super::CommandError;
use crate::exit::Exit;
use crate::lab;

/// A lab is one machine's: more agents than this want a fleet.
const MOST_AGENTS: u64 = 500;

#[derive(Args, Clone, Debug)]
pub(crate) struct Lab {
    /// How many machines with an agent
    #[arg(long, value_name = "N", default_value_t = 5,
          value_parser = clap::value_parser!(u32).range(0..=MOST_AGENTS as i64))]
    pub(crate) agents: u32,
    /// How many enrolled machines without an agent
    #[arg(long, value_name = "M", default_value_t = 0,
          value_parser = clap::value_parser!(u32).range(0..=MOST_AGENTS as i64))]
    pub(crate) offline: u32,
    /// Where everything goes; a lab that was there before goes on with its machines. Unless given,
    /// a folder below the system's temporary one, removed at the end
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Written once every machine accepts a reset: addresses, key and machines as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) ready_file: Option<PathBuf>,
    /// The agent's program; opencpm-agent beside this one unless given
    #[arg(long, value_name = "FILE")]
    pub(crate) agent_binary: Option<PathBuf>,
    /// Reset all machines once, show what happened, and end
    #[arg(long)]
    pub(crate) demo: bool,
}

impl Lab {
    pub(crate) fn run(self) -> Result<Exit, CommandError> {
        Ok(lab::run(self)?)
    }
}
