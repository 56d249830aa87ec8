//! `opencpm lab`: a whole deployment to try out.

use std::path::PathBuf;

use clap::Args;
use opencpm_fleet::Fault;
use opencpm_operations::role::Settings;

use super::CommandError;
use crate::config::Quota;
use crate::exit::Exit;
use crate::lab;

/// A lab is one machine's: more agents than this want a fleet.
const MOST_AGENTS: u64 = 500;

/// So many uses an enrolment token can have.
const MOST_SIMULATED: u64 = 1_000_000;

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
    /// How many simulated machines: connected devices with keys of their own and no file system
    #[arg(long, value_name = "N", default_value_t = 0,
          value_parser = clap::value_parser!(u32).range(0..=MOST_SIMULATED as i64))]
    pub(crate) simulated: u32,
    /// What is wrong with one simulated machine, the first that is still good: fails=REASON,
    /// silent, late=SECONDS, breaks or vanishes; may be repeated
    #[arg(long, value_name = "FAULT")]
    pub(crate) fault: Vec<Fault>,
    /// Seconds after which a job ends
    #[arg(long, value_name = "SECONDS", default_value_t = 30,
          value_parser = clap::value_parser!(u64)
              .range(Settings::SHORTEST_DEADLINE.as_secs()..=Settings::LONGEST_DEADLINE.as_secs()))]
    pub(crate) job_deadline: u64,
    /// How often in a minute a key may ask for an action, by its API 2.0 name; may be repeated
    #[arg(long, value_name = "ACTION=N", value_parser = Quota::parse)]
    pub(crate) quota: Vec<Quota>,
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
