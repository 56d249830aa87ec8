//! One door to everything that people who work on the project run: `cargo xtask`.

#![expect(clippy::print_stdout, reason = "a command line tool answers on standard output")]

use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("test") => test(),
        _ => {
            println!("cargo xtask test    format, lints, unit and end-to-end tests");
            ExitCode::SUCCESS
        }
    }
}

fn test() -> ExitCode {
    let steps: [&[&str]; 3] = [
        &["fmt", "--all", "--check"],
        &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"],
        &["test", "--workspace"],
    ];
    for step in steps {
        match Command::new("cargo").args(step).status() {
            Ok(status) if status.success() => {}
            _ => return ExitCode::FAILURE,
        }
    }
    ExitCode::SUCCESS
}
