//! `docs/compatibility.md`: what was tried and what came of it. Nothing in it depends on when and
//! where the suite ran, so that a difference is a change.

use std::fmt::Write as _;
use std::path::Path;

use crate::client::{Client, Way};
use crate::dialect::Dialect;
use crate::run::{self, Outcome, Tried};

/// Writes it; says what is in the way.
pub(crate) fn write(file: &Path, outcomes: &[Outcome]) -> bool {
    match std::fs::write(file, text(outcomes)) {
        Ok(()) => true,
        Err(error) => {
            eprintln!("{} cannot be written: {error}", file.display());
            false
        }
    }
}

/// Whether it says what was found. A machine on which not every client runs cannot tell.
pub(crate) fn is_current(file: &Path, outcomes: &[Outcome]) -> bool {
    if outcomes.iter().any(|outcome| outcome.tried.is_none()) {
        println!("{} was not compared: some clients cannot run here", file.display());
        return true;
    }
    let current = std::fs::read_to_string(file).is_ok_and(|there| there == text(outcomes));
    if !current {
        eprintln!("{} says something else: run `cargo xtask conformance`", file.display());
    }
    current
}

fn text(outcomes: &[Outcome]) -> String {
    let mut text = HEAD.to_owned();
    for outcome in outcomes {
        let Client { name, dialect, .. } = outcome.client;
        let row = match &outcome.tried {
            Some(Tried { version, results }) => {
                let passed = results.iter().filter(|result| result.passed).count();
                let failed = results.len() - passed;
                format!("{version} | {passed} | {failed}")
            }
            None => format!("not run: needs {} | |", outcome.client.needs),
        };
        add(&mut text, format_args!("| [`{name}`](#{name}) | {} | {row} |", called(*dialect)));
    }
    text.push_str(READ);
    for outcome in outcomes {
        section(&mut text, outcome);
    }
    text.push_str(NOT_RUN);
    text
}

fn section(text: &mut String, outcome: &Outcome) {
    let client = outcome.client;
    add(text, format_args!("\n## `{}`\n\n{}\n", client.name, client.about));
    if let Some(tried) = &outcome.tried {
        let ways: Vec<_> = client.ways.iter().map(Way::name).collect();
        add(text, format_args!("| the client … | {} |", ways.join(" | ")));
        add(text, format_args!("| --- |{}", " --- |".repeat(ways.len())));
        for case in run::cases(client) {
            let cells: Vec<_> = (0..ways.len()).map(|way| cell(tried, way, case.name)).collect();
            add(text, format_args!("| {} | {} |", case.name, cells.join(" | ")));
        }
        text.push('\n');
    }
    add(text, format_args!("Known traps:\n"));
    for trap in client.traps {
        add(text, format_args!("- {trap}"));
    }
}

fn cell(tried: &Tried, way: usize, case: &str) -> &'static str {
    let is_it = |result: &&run::CaseResult| result.way == way && result.case == case;
    match tried.results.iter().find(is_it) {
        Some(result) if result.passed => "passed",
        Some(_) => "**failed**",
        None => "",
    }
}

fn called(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::V2 => "2.0",
        Dialect::V3 => "3.0",
    }
}

fn add(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("memory");
}

const HEAD: &str = "\
# Compatibility

Which published clients were run against this server, unmodified, and what came of it.

Written by `cargo xtask conformance`; do not edit. The suite (`tests/conformance`) installs each \
package in the version below from its registry, starts a lab with real agents, and has the client \
work against it. A reset counts as passed when the client was told that it succeeded **and** the \
machine's shadow file holds a hash that the system's own crypt(3) accepts for the new password. A \
refusal counts as passed when the right code and message reach the user in the client's own form.

| client | API | version | passed | failed |
| --- | --- | --- | --- | --- |
";

const READ: &str = "| Go and Java SDKs | 2.0, 3.0 | [read, not run](#go-and-java) | | |\n";

const NOT_RUN: &str = "
## Go and Java

These are not run by the suite: they are not published in a registry from which it installs. \
Their source was read instead, and what they send is part of the tests of the server's edge, as \
requests on the wire.

- **Go SDK of API 2.0**: GET with HmacSHA256; lists count from 0; every process starts with the \
same nonces, which is why reads may repeat a nonce. One public copy signs the host without its \
port. It takes any `codeDesc` but `Success` and nothing for a failure, wants `taskId`, `status` \
and `totalNum` as numbers, and what is inside `deviceList` as strings. Its wait loop gives up \
while a batch is half done (status 5, 6 and 7), although the task goes on.
- **Go SDK of API 3.0**: TC3 or the older signature; may use HTTP/2. An HTTP status other than 200 \
is an error of the client's own, without the API's code. A retry repeats the identical request, \
and gets the first one's answer.
- **Java SDK of API 3.0**: sends and signs `application/json; charset=utf-8`; the service in its \
signature is the endpoint's text before the first dot, so name the server `bm.<domain>` or use an \
address; signs the host with its port.
";
