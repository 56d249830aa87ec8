//! kill -9 of server and agents at random moments.

use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

use opencpm_tests::{Dice, Scheme, Site};

use crate::truth::Said;

const ROUNDS: u32 = 50;

/// The environment variable that repeats a run's choices.
const SEED: &str = "OPENCPM_TEST_SEED";

/// On a busy machine a reset of three machines takes so long.
const LATEST_MICROS: u64 = 500_000;

/// On an idle one it is over much sooner: the latest moment is halved up to so many times.
const HALVES: u64 = 7;

/// Who dies in a round, and when.
#[derive(Clone, Copy, Debug)]
struct Strike {
    after: Duration,
    server: bool,
    agent: Option<usize>,
}

impl Strike {
    fn choose(dice: &mut Dice, machines: usize) -> Self {
        let latest = LATEST_MICROS >> dice.roll(HALVES);
        let after = Duration::from_micros(dice.roll(latest));
        let agent = dice.below(machines);
        match dice.roll(3) {
            0 => Self { after, server: true, agent: None },
            1 => Self { after, server: false, agent: Some(agent) },
            _ => Self { after, server: true, agent: Some(agent) },
        }
    }
}

/// What was true of each task's machines when the task had ended: nobody may change its mind.
#[derive(Default)]
struct History {
    has_it: BTreeMap<u64, Vec<bool>>,
    said: BTreeMap<String, u32>,
}

#[test]
fn whoever_is_killed_at_whatever_moment_no_task_is_lost_and_no_answer_is_untrue() {
    let seed = std::env::var(SEED).ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or(u64::from(std::process::id()));
    println!("{SEED}={seed}");
    let mut dice = Dice::new(seed);
    let mut site = Site::start(&[Scheme::Yescrypt, Scheme::Sha512, Scheme::Yescrypt]);
    let mut history = History::default();
    for round in 0..ROUNDS {
        site.connected();
        let strike = Strike::choose(&mut dice, site.machines.len());
        let password = format!("Round{round:03}!{}", dice.roll(10));
        println!("round {round}: {strike:?}");
        let answer = reset_under(&mut site, strike, &password);
        let task = accepted(&mut site, &history, answer, &password);
        let data = site.ended(task, Instant::now());
        history.keep(&site, task, &data, &password);
    }
    println!("{:?}", history.said);
    history.is_still_told(&mut site);
    everybody_works(&mut site);
}

/// Sends a reset and strikes while it is under way. An error is no answer.
fn reset_under(
    site: &mut Site,
    strike: Strike,
    password: &str,
) -> io::Result<Result<u64, serde_json::Value>> {
    let client = site.client.clone();
    let instances: Vec<String> = site.instances().into_iter().map(str::to_owned).collect();
    std::thread::scope(|scope| {
        let sending = scope.spawn(move || {
            let instances: Vec<&str> = instances.iter().map(String::as_str).collect();
            client.try_reset(&instances, password)
        });
        let start = Instant::now();
        while start.elapsed() < strike.after {
            std::thread::park_timeout(strike.after.saturating_sub(start.elapsed()));
        }
        if strike.server {
            site.service.process.kill();
        }
        if let Some(agent) = strike.agent {
            site.machines[agent].agent.kill();
        }
        sending.join().expect("the client ends")
    })
}

/// The task that the reset became. Without an answer, the log tells whether there is one; if not,
/// or if it was refused, the client asks again.
#[expect(clippy::print_stdout, reason = "a failed test tells how it came to that")]
fn accepted(
    site: &mut Site,
    history: &History,
    answer: io::Result<Result<u64, serde_json::Value>>,
    password: &str,
) -> u64 {
    match answer {
        Ok(Ok(task)) => return task,
        Ok(Err(refusal)) => println!("refused: {refusal}"),
        Err(error) => println!("no answer: {error}"),
    }
    let newest = site.eventually("the log", Duration::from_secs(20), |site| {
        site.log(&site.machines[0]).ok().map(|log| log.first().map(|(task, _)| *task))
    });
    match newest.filter(|task| !history.has_it.contains_key(task)) {
        Some(task) => task,
        None => site.accepted(password),
    }
}

impl History {
    /// Looks at the disks, once a task has ended and before the next one changes them.
    fn keep(&mut self, site: &Site, task: u64, data: &serde_json::Value, password: &str) {
        let has_it: Vec<bool> = site.machines.iter().map(|m| m.has(password)).collect();
        for (number, has_it) in has_it.iter().enumerate() {
            let said = Said::of(site, data, number);
            assert!(said.is_true(*has_it), "{said:?} of {data}, and: {has_it}\n{}", site.said());
            *self.said.entry(format!("{said:?}")).or_default() += 1;
        }
        let before = self.has_it.insert(task, has_it);
        assert!(before.is_none(), "two resets were answered with task {task}");
    }

    /// At the end everything that was told is told still, late reports may only have made it more
    /// definite, and nothing is told that nobody asked for.
    fn is_still_told(&self, site: &mut Site) {
        site.connected();
        for (task, has_it) in &self.has_it {
            let data = site.task(*task).expect("the server is up");
            for (number, has_it) in has_it.iter().enumerate() {
                let said = Said::of(site, &data, number);
                assert!(said.is_true(*has_it), "{said:?} of {data}, and: {has_it}");
            }
        }
        for machine in &site.machines {
            let log = site.log(machine).expect("the server is up");
            let logged: Vec<u64> = log.iter().rev().map(|(task, _)| *task).collect();
            let asked: Vec<u64> = self.has_it.keys().copied().collect();
            let mut sorted = logged.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, asked);
            assert!(log.iter().all(|(_, status)| status != "4"), "{log:?}");
        }
    }
}

/// After all of that a reset simply succeeds.
fn everybody_works(site: &mut Site) {
    site.connected();
    let task = site.accepted("Afterwards!1");
    let data = site.ended(task, Instant::now());
    assert_eq!(data["status"], 1, "{data}");
    assert!(site.machines.iter().all(|machine| machine.has("Afterwards!1")));
    for machine in &site.machines {
        assert!(machine.root_hash().starts_with(machine.scheme.prefix()));
    }
}
