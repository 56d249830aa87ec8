//! The wire contract, case by case, over raw HTTP/1.1: sections 1 to 4, 6 and 7. Any server that
//! implements the contract may be asked; README.md says how.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "in a test a failed expectation is a failed test"
)]

mod ask;
mod case;
mod sections;
mod target;
mod vectors;

use std::collections::BTreeSet;
use std::fmt;
use std::io::Write;

use opencpm_domain::Condition;

use ask::{Dialect, Way};
use case::{Case, Failure, Story, ensure};
use sections::Section;
use target::Target;

/// What no case can raise on a server in good order: a defect, and the loss of real parts.
const APART: [Condition; 4] = [
    Condition::ServerBug,
    Condition::StoreUnavailable,
    Condition::BrokerUnavailable,
    Condition::GatewayLost,
];

/// Says something about a run that passes, too: what `println!` prints would be kept back.
macro_rules! tell {
    ($($text:tt)*) => {
        writeln!(std::io::stdout(), $($text)*).expect("somebody listens")
    };
}

/// What is counted.
#[derive(Default)]
struct Count {
    /// Rows of the tables, and stories.
    cases: usize,
    /// Each row in each of its ways.
    requests: usize,
    failed: Vec<String>,
    left_out: Vec<String>,
}

#[test]
fn the_server_keeps_the_contract() {
    let target = Target::find();
    let mut total = Count::default();
    for section in sections::all() {
        let count = run(&target, &section);
        tell!("{:4} cases {:5} requests: {}", count.cases, count.requests, section.title);
        total.cases += count.cases;
        total.requests += count.requests;
        total.failed.extend(count.failed);
        total.left_out.extend(count.left_out);
    }
    total.left_out.iter().for_each(|name| tell!("left out: {name}"));
    total.failed.iter().for_each(|why| tell!("failed: {why}"));
    tell!(
        "{} cases, {} requests: {} passed, {} failed, {} left out",
        total.cases,
        total.requests,
        total.requests - total.failed.len() - total.left_out.len(),
        total.failed.len(),
        total.left_out.len()
    );
    let silent = not_raised(&target);
    silent.iter().for_each(|what| tell!("raised by no case: {what}"));
    assert!(total.failed.is_empty(), "{} failed:\n{}", total.failed.len(), total.failed.join("\n"));
    if target.lab.is_some() {
        assert!(total.left_out.is_empty(), "the lab lacks what the cases need");
        assert!(silent.is_empty(), "conditions that no case raises: {silent:?}");
        assert!(total.cases >= 250, "only {} cases", total.cases);
    }
}

fn run(target: &Target, section: &Section) -> Count {
    let mut count = Count::default();
    let mut note = |name: String, result: Result<(), Failure>| {
        count.requests += 1;
        match result {
            Ok(()) => {}
            Err(Failure::Lacking(what)) => count.left_out.push(format!("{name} (needs {what})")),
            Err(Failure::Wrong(why)) => count.failed.push(format!("{name}: {why}")),
        }
    };
    for case in &section.cases {
        for way in case.ways {
            let name = format!("{}: {} ({way:?})", section.title, case.name);
            note(name, try_case(target, case, *way));
        }
    }
    for Story { name, run } in &section.stories {
        note(format!("{}: {name}", section.title), run(target));
    }
    count.cases = section.cases.len() + section.stories.len();
    count
}

fn try_case(target: &Target, case: &Case, way: Way) -> Result<(), Failure> {
    let message = target.message(&case.ask, way)?;
    let reply = target.sent(case.ask.key, &message)?;
    // The path alone says which dialect answers (contract section 1).
    let is_v2 = message.target.starts_with(Dialect::V2.path());
    target.judged(&reply, if is_v2 { Dialect::V2 } else { Dialect::V3 }, &case.expected)?;
    for text in &case.says {
        let text = target.filled(text)?;
        ensure(reply.body.contains(&text), || format!("{text:?} is not in {}", reply.body))?;
    }
    for text in &case.hides {
        let text = target.filled(text)?;
        ensure(!reply.body.contains(&text), || format!("{text:?} is in {}", reply.body))?;
    }
    Ok(())
}

/// The table of errors is the denominator: each condition in each dialect where it has a form.
fn not_raised(target: &Target) -> BTreeSet<String> {
    let raised = target.raised.borrow();
    let conditions = Condition::ALL.iter().filter(|condition| !APART.contains(condition));
    let forms = conditions.flat_map(|condition| {
        let row = condition.row();
        let forms = [
            row.code.map(|_| (*condition, Dialect::V2)),
            row.code_v3.map(|_| (*condition, Dialect::V3)),
        ];
        forms.into_iter().flatten()
    });
    let forms: Vec<_> = forms.collect();
    let silent: BTreeSet<_> = forms.iter().filter(|form| !raised.contains(form)).collect();
    tell!("{} of {} errors raised", forms.len() - silent.len(), forms.len());
    silent.iter().map(|(condition, dialect)| format!("{condition:?} in {dialect:?}")).collect()
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lacking(what) => write!(f, "the target lacks {what}"),
            Self::Wrong(why) => f.write_str(why),
        }
    }
}
