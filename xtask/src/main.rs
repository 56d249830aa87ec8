//! One door to everything that people who work on the project run: `cargo xtask`.
//!
//! A subcommand is a file of its own with a `run` function. To add one: write the file, add a line
//! to [`Task`] and an arm to [`perform`].

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a command line tool answers on standard output")]
#![expect(clippy::print_stderr, reason = "and says on standard error what went wrong")]

mod agent;
mod arrows;
mod bench;
mod binaries;
mod chaos;
mod command;
mod conformance;
mod demo;
mod footprint;
mod fuzz;
mod model;
mod schemathesis;
mod test;
mod workspace;

use std::error::Error;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::fuzz::Enough;
use crate::workspace::Workspace;

/// One door to everything that people who work on OpenCPM run.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    task: Option<Task>,
}

#[derive(Subcommand)]
enum Task {
    /// Show it at work: build both binaries and reset several machines through the public API.
    Demo {
        /// Handed on to `opencpm lab --demo`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// What CI runs: format, lints, supply chain, arrows, unit, property and end-to-end tests.
    Test,
    /// Run the published clients, unmodified, against a lab, and write docs/compatibility.md.
    Conformance {
        /// Only this one, by its package's name, or `truth` for what they are told of parts that
        /// are away; nothing is written.
        client: Option<String>,
    },
    /// Try requests that schemathesis generates from the OpenAPI document, against a lab.
    Schemathesis {
        /// So many of each operation, besides the boundary values of its parameters.
        #[arg(long, default_value_t = schemathesis::SHORT)]
        examples: u32,
        /// Another one makes other requests.
        #[arg(long, default_value_t = schemathesis::SEED)]
        seed: u32,
    },
    /// Break one thing a round in a cluster of real processes, and compare what clients were told
    /// with the machines' shadow files.
    Chaos {
        /// How many faults.
        #[arg(long, default_value_t = 60)]
        rounds: u32,
        /// Repeats a run's choices; printed first when not given.
        #[arg(long)]
        seed: Option<u64>,
        /// One node with the embedded engines, instead of several over PostgreSQL and RabbitMQ.
        #[arg(long)]
        embedded: bool,
        /// End with the first round that fails.
        #[arg(long)]
        stop: bool,
    },
    /// Build the agent as one small static binary; the last line is its path.
    Agent,
    /// Check the static agent's size and what it uses while idle and connected over TLS.
    Footprint,
    /// Measure the largest requests on this machine: time, memory, and what small reads notice.
    Bench {
        /// How many simulated devices; their enrolment comes first and takes longest.
        #[arg(long, default_value_t = 100_000)]
        devices: u32,
    },
    /// Cut off many agents at once, and measure how they come back.
    Storm {
        /// How many agents.
        #[arg(long, default_value_t = 2_000)]
        agents: u32,
    },
    /// Write the documents that come from the API's tables anew: `docs/openapi.json` and the API
    /// reference.
    Docs,
    /// Feed foreign bytes to every decoder that sees some, or to those named: `fuzz/README.md`.
    Fuzz {
        /// So many seconds for each; what they learn is kept below the target folder.
        #[arg(long, conflicts_with = "runs")]
        seconds: Option<u64>,
        /// So many inputs for each, always the same ones.
        #[arg(long, default_value_t = fuzz::SHORT)]
        runs: u64,
        /// Targets, as they are called in `fuzz/targets`; all unless given.
        targets: Vec<String>,
    },
    /// Look at every state of the checked model within bounds; without any, those of the test suite.
    Model {
        /// Such as `--crashes 2 --faults 3`; `--help` lists them.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        bounds: Vec<String>,
    },
    /// Compare which crate uses which with the checked-in list.
    Arrows {
        /// Write the list anew instead of comparing.
        #[arg(long)]
        bless: bool,
    },
}

fn main() -> ExitCode {
    let Some(task) = Arguments::parse().task else {
        let shown = Arguments::command().print_help();
        return if shown.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    };
    perform(task).unwrap_or_else(|error| {
        eprintln!("error: {error}");
        let causes = std::iter::successors(error.source(), |&cause| cause.source());
        causes.for_each(|cause| eprintln!("  because: {cause}"));
        ExitCode::FAILURE
    })
}

fn perform(task: Task) -> Result<ExitCode, Box<dyn Error>> {
    let workspace = Workspace::load()?;
    match task {
        Task::Demo { arguments } => return Ok(demo::run(&workspace, &arguments)?),
        Task::Test => test::run(&workspace)?,
        Task::Conformance { client } => conformance::run(&workspace, client.as_deref())?,
        Task::Schemathesis { examples, seed } => schemathesis::run(&workspace, examples, seed)?,
        Task::Chaos { rounds: number, seed, embedded, stop } => {
            chaos::run(&workspace, &chaos::Rounds { number, seed, embedded, stop })?;
        }
        Task::Agent => agent::run(&workspace)?,
        Task::Footprint => footprint::run(&workspace)?,
        Task::Bench { devices } => bench::big_requests(&workspace, devices)?,
        Task::Storm { agents } => bench::storm(&workspace, agents)?,
        Task::Docs => command::succeed(
            &mut workspace.cargo("run -q -p opencpm-api --example documents docs".split(' ')),
        )?,
        Task::Fuzz { seconds, runs, targets } => {
            let enough = seconds.map_or(Enough::Runs(runs), Enough::Seconds);
            fuzz::run(&workspace, enough, &targets)?;
        }
        Task::Model { bounds } => model::run(&workspace, &bounds)?,
        Task::Arrows { bless } => arrows::run(&workspace, bless)?,
    }
    Ok(ExitCode::SUCCESS)
}
