//! The agent's binary: see `opencpm_agent::cli`.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    opencpm_agent::cli::main(std::env::args_os())
}
