//! The agent dies at each step between intent and acknowledgement, and the server right after its
//! answer.

use std::time::Instant;

use opencpm_tests::{Scheme, Site};

use crate::truth::Said;

/// Where the agent dies, and whether root's entry is changed by then.
const POINTS: [(&str, bool); 5] = [
    ("intent-durable", false),
    ("renamed", true),
    ("verified", true),
    ("report-durable", true),
    ("acknowledged", true),
];

#[test]
fn an_agent_that_dies_at_any_step_tells_afterwards_what_is_on_disk() {
    die_at_every_point(|_| {});
}

#[test]
fn it_tells_the_same_when_its_server_died_too() {
    die_at_every_point(|site| site.service.process.kill());
}

fn die_at_every_point(meanwhile: impl Fn(&mut Site)) {
    // Both schemes at once: each machine dies by itself.
    let mut site = Site::start(&[Scheme::Yescrypt, Scheme::Sha512]);
    for (number, (point, changed)) in POINTS.into_iter().enumerate() {
        let password = format!("Point{number:03}!");
        let interrupted = Said::NotChanged("interrupted".to_owned());
        let expected = if changed { Said::Changed } else { interrupted };
        site.connected();
        let before = hashes(&site);
        site.machines.iter().for_each(|machine| machine.will_die_at(point));
        let task = site.accepted(&password);
        let accepted = Instant::now();
        site.machines.iter_mut().for_each(|machine| machine.died());
        let after = hashes(&site);
        meanwhile(&mut site);

        let data = site.ended(task, accepted);
        for (number, machine) in site.machines.iter().enumerate() {
            assert_eq!(Said::of(&site, &data, number), expected, "{point}: {data}");
            assert_eq!(after[number] != before[number], changed, "{point}");
            assert_eq!(machine.has(&password), changed, "{point}");
        }
        site.connected();
        assert_eq!(hashes(&site), after, "{point}: it is not done again");
    }
    let task = site.accepted("Afterwards!1");
    assert_eq!(site.ended(task, Instant::now())["status"], 1);
}

fn hashes(site: &Site) -> Vec<String> {
    site.machines.iter().map(|machine| machine.root_hash()).collect()
}

#[test]
fn a_task_whose_server_dies_right_after_its_answer_is_there_at_the_next_start_and_ends() {
    let mut site = Site::start(&[Scheme::Yescrypt, Scheme::Sha512]);
    for round in 0..5 {
        let password = format!("Answer{round:03}!");
        let task = site.accepted(&password);
        site.service.process.kill();
        let data = site.ended(task, Instant::now());
        assert_eq!(data["status"], 1, "{data}\n{}", site.said());
        assert!(site.machines.iter().all(|machine| machine.has(&password)));
        site.connected();
    }
}
