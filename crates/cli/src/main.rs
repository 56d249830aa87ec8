//! `opencpm`: the server and the operators' commands.
//!
//! `serve` and `lab` put the parts together; every other command is a client of the public API.

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
    logs::start(arguments.log.as_deref());
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
