//! How many rounds passed, and what happened in all of them.

use std::collections::BTreeMap;
use std::fmt;

use crate::checker::Checker;
use crate::history::Told;
use crate::nemesis::Fault;

/// What is told at the end.
#[derive(Default)]
pub(crate) struct Summary {
    passed: u64,
    pub(crate) failed: u64,
    struck: BTreeMap<&'static str, usize>,
    counts: Vec<(&'static str, String)>,
}

impl Summary {
    /// A round has ended.
    pub(crate) fn round(&mut self, number: u64, fault: &Fault, wrong: &[String]) {
        let (kind, parts) = fault.kind();
        *self.struck.entry(kind).or_default() += parts;
        if wrong.is_empty() {
            self.passed += 1;
            return;
        }
        self.failed += 1;
        println!("round {number} FAILED, after {fault}");
        wrong.iter().for_each(|what| println!("  {what}"));
    }

    /// What was found when all was over: then the last round has not passed.
    pub(crate) fn afterwards(&mut self, wrong: Vec<String>) {
        if wrong.is_empty() {
            return;
        }
        println!("FAILED at the end");
        wrong.iter().for_each(|what| println!("  {what}"));
        if self.passed > 0 {
            self.passed -= 1;
            self.failed += 1;
        }
    }

    /// The numbers that go with the result.
    pub(crate) fn count(&mut self, checker: &Checker) {
        let devices: usize = checker.tasks.values().map(|task| task.said.len()).sum();
        let unknown =
            checker.resets.iter().filter(|known| matches!(known.told, Some(Told::Nothing)));
        let list = |all: BTreeMap<String, u32>| {
            let all: Vec<_> = all.iter().map(|(name, n)| format!("{n} {name}")).collect();
            all.join(", ")
        };
        self.counts = vec![
            ("resets asked for", checker.resets.len().to_string()),
            ("tasks", checker.tasks.len().to_string()),
            ("devices in them", devices.to_string()),
            ("told of devices", list(checker.outcomes())),
            ("refused", list(checker.refusals())),
            ("asked again for want of an answer", checker.unanswered.to_string()),
            ("never answered", unknown.count().to_string()),
            ("successes that came and went unseen", checker.unseen.to_string()),
        ];
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.counts {
            writeln!(f, "{name}: {value}")?;
        }
        let struck: Vec<_> = self.struck.iter().map(|(kind, n)| format!("{n} {kind}")).collect();
        writeln!(f, "faults: {}", struck.join(", "))?;
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}
