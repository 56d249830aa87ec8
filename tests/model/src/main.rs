//! Every state of the model within bounds that are given: `cargo xtask model`.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a command line tool answers on standard output")]

use std::process::ExitCode;

use clap::Parser;
use opencpm_model::System;
use opencpm_model::explore::explore;
use opencpm_model::state::{Bounds, Rules};

/// Looks at every state of the model within these bounds.
#[derive(Parser)]
#[command(name = "cargo xtask model", bin_name = "cargo xtask model")]
struct Arguments {
    /// Crashes, losses, repetitions, lost leases and changes by another hand, together.
    #[arg(long, default_value_t = Bounds::SMALL.faults)]
    faults: u8,
    /// Crashes of a process.
    #[arg(long, default_value_t = Bounds::SMALL.crashes)]
    crashes: u8,
    /// Connections of the agent that break, with what is on its way.
    #[arg(long, default_value_t = Bounds::SMALL.losses)]
    losses: u8,
    /// Messages that come twice.
    #[arg(long, default_value_t = Bounds::SMALL.duplicates)]
    duplicates: u8,
    /// Gateways that stand still and lose their lease.
    #[arg(long, default_value_t = Bounds::SMALL.stalls)]
    stalls: u8,
    /// Changes of root's entry by another hand.
    #[arg(long, default_value_t = Bounds::SMALL.hands)]
    hands: u8,
    /// Times that 10 s pass although something is under way.
    #[arg(long, default_value_t = Bounds::SMALL.delays)]
    delays: u8,
    /// Gives up with more states.
    #[arg(long, default_value_t = 200_000_000)]
    most: usize,
}

fn main() -> ExitCode {
    let Arguments { faults, crashes, losses, duplicates, stalls, hands, delays, most } =
        Arguments::parse();
    let bounds = Bounds { faults, crashes, losses, duplicates, delays, stalls, hands };
    println!("{bounds}");
    match explore(&System { bounds, rules: Rules::ALL }, most) {
        Ok(explored) => {
            println!("{explored}; no promise is broken");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            println!("{failure}");
            ExitCode::FAILURE
        }
    }
}
