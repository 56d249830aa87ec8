//! The form that runs everywhere: every state within small bounds, and what happens to a system
//! that lacks one of the rules. `cargo xtask model` goes further.

#![expect(clippy::print_stdout, reason = "a reader wants the counts and the counterexamples")]
#![expect(clippy::panic, reason = "a test that does not find what it looks for fails")]

use opencpm_model::System;
use opencpm_model::explore::{Failure, explore};
use opencpm_model::state::{Bounds, Rules};

/// More than the whole form has; an endless model would fill the memory.
const MOST: usize = 10_000_000;

fn counterexample(rules: Rules) -> (&'static str, String) {
    match explore(&System { bounds: Bounds::SMALL, rules }, MOST) {
        Err(Failure::Counterexample { broken, run, states }) => {
            println!("broken after {states} states: {broken}");
            run.iter().for_each(|line| println!("  {line}"));
            (broken, run.join("\n"))
        }
        other => panic!("no counterexample: {other:?}"),
    }
}

#[test]
fn whatever_is_lost_repeated_late_or_crashed_every_promise_holds_and_every_run_ends() {
    let explored = explore(&System { bounds: Bounds::SMALL, rules: Rules::ALL }, MOST);
    let explored = explored.unwrap_or_else(|failure| panic!("{failure}"));
    println!("{}: {explored}", Bounds::SMALL);
    assert!(explored.ends > 1 && explored.depth > 20, "{explored}");
}

#[test]
fn without_fencing_a_gateway_binds_or_delivers_after_its_lease_ended() {
    let (broken, run) = counterexample(Rules { fenced: false, ..Rules::ALL });
    assert!(broken.contains("are fenced"), "{broken}");
    assert!(run.contains("stands still and loses its lease"), "{run}");
}

#[test]
fn an_acknowledgement_before_the_commit_loses_what_the_machine_said() {
    let (broken, run) = counterexample(Rules { commits_first: false, ..Rules::ALL });
    assert_eq!(broken, "4: a report is committed before it is acknowledged");
    assert!(run.contains("takes a report"), "{run}");
}

#[test]
fn an_agent_that_forgets_its_jobs_does_one_twice() {
    let (broken, run) = counterexample(Rules { remembers: false, ..Rules::ALL });
    assert_eq!(broken, "4: no job is applied twice, and none after a later one");
    assert!(run.contains("the agent crashes"), "{run}");
}

/// What the model found when it was young: decisions 0040 and 0064.
#[test]
fn where_nobody_knows_the_order_of_hellos_a_late_one_hides_a_connected_device() {
    let (broken, run) = counterexample(Rules { hellos_in_order: false, ..Rules::ALL });
    assert_eq!(broken, "a device is bound where its agent is connected");
    assert!(run.contains("finds a connection gone and unbinds it"), "{run}");
}
