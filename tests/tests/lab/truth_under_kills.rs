//! kill -9 of server and agents at random moments: nothing accepted is lost, every task ends, and
//! what is said of each machine is what its disk says.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use opencpm_tests::{Lab, eventually, root_hash, verifies};
use rustix::process::{Signal, kill_process};

const ROUNDS: u32 = 30;
const LIMIT: Duration = Duration::from_secs(60);

/// A small generator of its own, so that a printed seed repeats a run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

#[test]
fn agents_killed_at_random_moments_never_make_an_answer_untrue() {
    let seed = u64::from(std::process::id()) | 1;
    println!("seed {seed}");
    let mut dice = Dice(seed);
    let lab = Lab::start(3);
    let client = lab.client();
    let mut told: HashMap<u64, String> = HashMap::new();
    for round in 0..ROUNDS {
        let password = format!("Round{round:03}!{}", dice.roll(10));
        let task =
            eventually("a task is accepted", LIMIT, || client.reset(&lab.alive(), &password).ok());
        told.insert(task, password.clone());
        let moment = Duration::from_micros(dice.roll(60_000));
        let start = Instant::now();
        while start.elapsed() < moment {
            std::hint::spin_loop();
        }
        let agents = lab.agents();
        if let Some(victim) = agents.get(dice.roll(3) as usize) {
            // It may have died by itself of an earlier kill; the lab starts it again.
            let _ = kill_process(*victim, Signal::KILL);
        }
        let data = client.wait(task, LIMIT);
        check(&lab, &data, &password);
    }
    assert_eq!(told.len(), ROUNDS as usize, "every accepted task has an id of its own");
}

/// Status 1 is true on disk; a definite failure is true on disk too.
fn check(lab: &Lab, data: &serde_json::Value, password: &str) {
    for told in data["instanceIds"].as_array().expect("a list") {
        let id = told["instanceId"].as_str().expect("an id");
        let device = lab.ready.devices.iter().find(|d| d.instance_id == id).expect("ours");
        let on_disk = verifies(&root_hash(&device.root), password);
        match told["status"].as_u64() {
            Some(1) => assert!(on_disk, "told as done, but is not: {told}"),
            Some(2) => {
                let reason = told["reason"].as_str().expect("a reason");
                let unknown = reason.starts_with("outcome_unknown")
                    || reason.starts_with("overwritten")
                    || reason.starts_with("verify_failed");
                assert!(unknown || !on_disk, "told as not done, but is: {told}");
            }
            other => panic!("{id}: {other:?}"),
        }
    }
}
