//! The conformance suite: real, unmodified clients against a lab of real agents.
//!
//! `cargo xtask conformance` installs the clients and runs this. Each client is a small program
//! below `tests/clients` that does orders through the client's package and tells what the client
//! returned. Which cases there are, and what must come of each, is said here and nowhere else.

#![forbid(unsafe_code)]
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a case is a test, and in a test a failed expectation is a failed test"
)]
#![expect(clippy::print_stdout, reason = "the summary is the answer")]
#![expect(clippy::print_stderr, reason = "what is wrong with the order, or with the document")]

mod case;
mod client;
mod dialect;
mod document;
mod proxy;
mod run;
mod session;
mod trial;
mod truth;

use std::path::PathBuf;
use std::process::ExitCode;

use run::Outcome;

/// What to do with the document when every case was tried.
enum Then {
    Write(PathBuf),
    Compare(PathBuf),
    /// Only one client was tried: there is no document.
    Nothing,
}

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if arguments == ["truth"] {
        truth::shown();
        return ExitCode::SUCCESS;
    }
    let (wanted, then) = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["write", file] => (None, Then::Write(file.into())),
        ["compare", file] => (None, Then::Compare(file.into())),
        ["try", client] => (Some(client.to_owned()), Then::Nothing),
        _ => {
            eprintln!("usage: conformance write FILE | compare FILE | try CLIENT | truth");
            return ExitCode::FAILURE;
        }
    };
    let outcomes = run::all(wanted.as_deref());
    let failed = tell(&outcomes);
    let kept = match then {
        Then::Write(file) => document::write(&file, &outcomes),
        Then::Compare(file) => document::is_current(&file, &outcomes),
        Then::Nothing => true,
    };
    if failed == 0 && kept { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The summary; returns how many cases failed.
fn tell(outcomes: &[Outcome]) -> usize {
    println!();
    let (mut passed, mut failed) = (0, 0);
    for outcome in outcomes {
        let name = outcome.client.name;
        match &outcome.tried {
            None => println!("not run here: {name} needs {}", outcome.client.needs),
            Some(tried) => {
                let all = tried.results.len();
                let bad = tried.results.iter().filter(|result| !result.passed).count();
                println!("{name} {}: {} passed, {bad} failed", tried.version, all - bad);
                (passed, failed) = (passed + all - bad, failed + bad);
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    failed
}
