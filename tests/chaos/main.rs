//! Chaos: a cluster of real processes under load, one fault a round, and the truth at the end.
//!
//! `cargo xtask chaos` builds the binaries and runs this. Clients write down what they are told,
//! an observer what the machines' shadow files really were, and a checker compares the two.

#![forbid(unsafe_code)]
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "it is a test, and in a test a failed expectation is a failed test"
)]
#![expect(clippy::print_stdout, reason = "the rounds and the summary are the answer")]
#![expect(clippy::print_stderr, reason = "what is wrong with the order")]

mod afterwards;
mod checker;
mod client;
mod disturbance;
mod door;
mod field;
mod history;
mod nemesis;
mod order;
#[cfg(test)]
mod planted;
mod round;
mod said;
mod summary;
mod watcher;

use std::process::ExitCode;
use std::sync::Arc;
use std::thread::Scope;
use std::time::Duration;

use opencpm_tests::Dice;
use opencpm_tests::cluster::{Cluster, Form, Shape};

use checker::Checker;
use door::Door;
use field::Field;
use history::History;
use nemesis::Fault;
use order::Order;
use summary::Summary;

/// Unless the embedded engines are asked for.
const SERVERS: Form = Form::Servers { api: 2, gateways: 3 };

/// Machines with an agent of their own process, and those whose agent is a thread.
const PROCESSES: usize = 20;
const THREADS: usize = 280;

/// An agent that could not connect for some time would wait for minutes, and every round with it.
const PATIENCE: Duration = Duration::from_secs(2);

/// From acceptance to the end of a job: the shortest that may be configured, and some more. An
/// agent does nothing in its last ten seconds.
const DEADLINE: Duration = Duration::from_secs(20);

const CLIENTS: u64 = 4;
const WATCHERS: u64 = 3;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let order = match Order::read(&arguments) {
        Ok(order) => order,
        Err(usage) => {
            eprintln!("{usage}");
            return ExitCode::FAILURE;
        }
    };
    println!("seed {}", order.seed);
    let nodes = if order.embedded { Form::Embedded } else { SERVERS };
    let shape = Shape {
        nodes,
        processes: PROCESSES,
        threads: THREADS,
        patience: PATIENCE,
        deadline: DEADLINE,
    };
    let mut cluster = Cluster::start(&shape);
    let summary = run(&mut cluster, &order);
    if summary.failed > 0 {
        cluster.keep();
        println!("everything is kept in {}", cluster.dir().display());
    }
    println!("{summary}");
    if summary.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The rounds, with clients all the while.
fn run(cluster: &mut Cluster, order: &Order) -> Summary {
    let doors = cluster.nodes.iter().filter_map(|node| node.door.as_ref());
    let doors = doors.map(|link| Door::new(link.authority(), cluster.key.clone())).collect();
    let instances = cluster.machines.iter().map(|machine| machine.instance.clone()).collect();
    let history = History::begin(&cluster.dir().join("history"));
    let field = Field::new(doors, instances, history, Arc::clone(&cluster.observer));
    let mut checker = Checker::new(DEADLINE, cluster.machines.len());
    let mut summary = Summary::default();
    std::thread::scope(|scope| {
        let watchers = (0..WATCHERS).map(|n| order.dice(100 + n));
        let watchers: Vec<_> =
            watchers.map(|dice| spawn(scope, &field, dice, watcher::run)).collect();
        let clients = (0..CLIENTS).map(|n| order.dice(200 + n));
        let clients: Vec<_> = clients.map(|dice| spawn(scope, &field, dice, client::run)).collect();
        rounds(&field, cluster, order, &mut checker, &mut summary);
        field.close();
        clients.into_iter().for_each(|client| client.join().expect("a client that ends"));
        field.desert();
        watchers.into_iter().for_each(|watcher| watcher.join().expect("a watcher that ends"));
    });
    summary.afterwards(afterwards::check(&field, cluster, &mut checker));
    summary.count(&checker);
    summary
}

fn spawn<'scope, 'env>(
    scope: &'scope Scope<'scope, 'env>,
    field: &'scope Field,
    dice: Dice,
    run: fn(&Field, Dice),
) -> std::thread::ScopedJoinHandle<'scope, ()> {
    scope.spawn(move || run(field, dice))
}

fn rounds(
    field: &Field,
    cluster: &mut Cluster,
    order: &Order,
    checker: &mut Checker,
    summary: &mut Summary,
) {
    let mut dice = order.dice(0);
    match round::becomes_whole(field, cluster, &mut dice) {
        Ok(took) => println!("{} agents are connected after {took:.1?}", field.instances.len()),
        Err(why) => panic!("the cluster does not come up: {why}"),
    }
    for number in 1..=order.rounds {
        // A round's choices do not depend on what came before.
        let mut dice = order.dice(1_000 + number);
        let fault = Fault::choose(&mut dice, cluster);
        println!("round {number}: {fault}");
        let wrong = round::run(field, cluster, &mut dice, checker, &fault);
        summary.round(number, &fault, &wrong);
        if order.stop && !wrong.is_empty() {
            return;
        }
    }
}
