//! Cases that schemathesis generates from the served OpenAPI document, against a lab.
//!
//! `cargo xtask schemathesis` installs schemathesis and runs this. It signs what it sends by
//! `hooks.py`, so that the cases get as far as the decoding of parameters and beyond; what an
//! answer must be is said there, too. A second, shorter run leaves the requests as they were
//! generated: none of these may be accepted.

#![forbid(unsafe_code)]
#![expect(clippy::expect_used, reason = "this is a test, and in a test a failed expectation fails")]
#![expect(clippy::print_stdout, reason = "the summary is the answer")]
#![expect(clippy::print_stderr, reason = "what is wrong with the order")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use opencpm_tests::{Lab, binaries};
use serde::Deserialize;

const AGENTS: usize = 3;
const SIMULATED: &str = "50";

/// Unsigned requests end before their parameters are looked at: a few examples are enough.
const UNSIGNED_EXAMPLES: u32 = 5;

/// Which requests are sent.
struct Run {
    name: &'static str,
    signed: bool,
    /// For each operation, besides the boundary values of the coverage phase.
    examples: u32,
    phases: &'static str,
}

/// What came of a run.
#[derive(Default)]
struct Tried {
    requests: u64,
    failures: u64,
}

/// The part of schemathesis' report that is used here.
#[derive(Deserialize)]
struct Report {
    test_cases: TestCases,
}

#[derive(Deserialize)]
struct TestCases {
    unique_failures: u64,
    errored: u64,
}

/// What an answer without an error is called.
const SUCCESS: &str = "success";

/// For each operation how often it was answered with which error, or with success.
type Answers = BTreeMap<String, BTreeMap<String, u64>>;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let numbers: Vec<u32> = arguments.iter().filter_map(|word| word.parse().ok()).collect();
    let [examples, seed] = numbers[..] else {
        eprintln!("usage: schemathesis EXAMPLES SEED");
        return ExitCode::FAILURE;
    };
    let begin = Instant::now();
    let lab = Lab::start_with(AGENTS, |lab| {
        lab.args(["--simulated", SIMULATED]);
    });
    let signed = Run { name: "signed", signed: true, examples, phases: "coverage,fuzzing" };
    let unsigned = Run {
        name: "unsigned",
        signed: false,
        examples: UNSIGNED_EXAMPLES.min(examples),
        phases: "fuzzing",
    };
    let [signed, unsigned] = [signed, unsigned].map(|run| run.carry_out(&lab, seed));
    let failures = signed.failures + unsigned.failures;
    println!("requests tried: {}", signed.requests + unsigned.requests);
    println!("failures: {failures}");
    println!("seconds: {}", begin.elapsed().as_secs());
    if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

impl Run {
    fn carry_out(&self, lab: &Lab, seed: u32) -> Tried {
        let (report, answers) = (lab.dir().join("report.json"), lab.dir().join("answers.json"));
        let succeeded = self.command(lab, seed, &report, &answers).status();
        let succeeded = succeeded.expect("schemathesis runs").success();
        let report: Report = read(&report);
        let answers: Answers = read(&answers);
        let told = report.test_cases.unique_failures + report.test_cases.errored;
        let mut failures = if succeeded { told } else { told.max(1) };
        if self.signed {
            failures += tell_what_never_succeeded(&answers);
        }
        let requests = answers.values().flat_map(BTreeMap::values).sum();
        let accepted: u64 = answers.values().filter_map(|counts| counts.get(SUCCESS)).sum();
        let (name, operations) = (self.name, answers.len());
        println!("{name}: {requests} requests to {operations} operations, {accepted} accepted\n");
        Tried { requests, failures }
    }

    fn command(&self, lab: &Lab, seed: u32, report: &Path, answers: &Path) -> Command {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemathesis");
        let mut command = Command::new(binaries::schemathesis());
        command.arg("--config-file").arg(sources.join("schemathesis.toml")).arg("run");
        command.arg(format!("{}/openapi.json", lab.ready.http)).args(["--url", &lab.ready.http]);
        command.args(["--phases", self.phases, "--no-color"]);
        command.args(["--max-examples", &self.examples.to_string()]);
        command.args(["--seed", &seed.to_string()]);
        command.args(["--report", "json", "--report-json-path"]).arg(report);
        // Its caches go where the lab is.
        command.current_dir(lab.dir());
        command.env("PYTHONPATH", &sources).env("PYTHONDONTWRITEBYTECODE", "1");
        // `hooks.py` and `lab.py` read these.
        command.env("OPENCPM_SIGNED", if self.signed { "1" } else { "0" });
        command.env("OPENCPM_READY_FILE", lab.ready_file()).env("OPENCPM_ANSWERS_FILE", answers);
        command
    }
}

/// Cases that are all refused say little: each operation must have been carried out at least once.
fn tell_what_never_succeeded(answers: &Answers) -> u64 {
    // A lab is one process, whose only names are the API's: it has no nodes.
    let has_nodes = |path: &str| path.ends_with("NodeToken") || path.ends_with("RevokeNode");
    let never = answers.iter().filter(|(_, counts)| !counts.contains_key(SUCCESS));
    let never = never.filter(|(path, _)| !has_nodes(path));
    never.map(|(path, counts)| println!("never accepted: {path}, but {counts:?}")).map(|()| 1).sum()
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> T {
    let text = fs::read(path).expect("what the run wrote");
    serde_json::from_slice(&text).expect("the form that this version writes")
}
