//! `opencpm`: the server and the operators' commands.
//!
//! `serve` and `lab` put the parts together, `migrate` and `store` work on the database itself; every
//! other command is a client of the public API.

#![deny(unsafe_code)]

mod args;
mod client;
mod command;
mod config;
mod exit;
mod files;
mod lab;
mod logs;
mod output;
mod process;
mod serve;
mod system;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let arguments = args::Arguments::parse();
    // A lab talks to whoever sits in front of it: its own words, not the server's.
    let usual = if matches!(arguments.command, args::Command::Lab(_)) { "warn" } else { "info" };
    logs::start(arguments.log.as_deref(), usual);
    process::protect_secrets();
    let ended = command::run(arguments);
    match ended {
        Ok(exit) => exit.into(),
        Err(error) => {
            output::complain(&error);
            error.exit().into()
        }
    }
}
