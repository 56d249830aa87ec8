//! Between the agent's death and its next start somebody else changes root's entry.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use opencpm_tests::{Machine, Scheme, Site};

use crate::truth::Said;

/// A hash that somebody else sets; no password is known for it.
const OTHER: &str = "$6$another$hand";

#[test]
fn a_reset_whose_result_another_hand_changed_is_never_said_to_be_undone() {
    let hands: [fn(&Machine); 2] = [edit, usermod];
    let mut site = Site::start(&[Scheme::Yescrypt, Scheme::Sha512]);
    for point in ["intent-durable", "renamed"] {
        for hand in hands {
            meddle(&mut site, point, hand);
            for machine in &site.machines {
                assert_eq!(machine.root_hash(), OTHER, "the other hand's change stays");
            }
            works_again(&mut site);
        }
    }
}

/// Whoever puts yesterday's file back makes the disk look as if nothing had happened.
#[test]
fn a_reset_that_was_made_and_taken_back_is_not_said_to_be_never_made() {
    let mut site = Site::start(&[Scheme::Yescrypt, Scheme::Sha512]);
    for machine in &site.machines {
        fs::copy(shadow(machine), backup(machine)).expect("a copy");
    }
    meddle(&mut site, "renamed", |machine| {
        fs::rename(backup(machine), shadow(machine)).expect("put back");
    });
    works_again(&mut site);
}

/// Lets all agents die at a point of a reset, and another hand act before they start again.
fn meddle(site: &mut Site, point: &str, hand: impl Fn(&Machine)) {
    site.connected();
    site.machines.iter().for_each(|machine| machine.will_die_at(point));
    let task = site.accepted("Meddled!12");
    let accepted = Instant::now();
    for machine in &mut site.machines {
        machine.died();
        hand(machine);
    }
    let data = site.ended(task, accepted);
    for number in 0..site.machines.len() {
        let said = Said::of(site, &data, number);
        assert_eq!(said, Said::Unknown("overwritten".to_owned()), "{point}: {data}");
    }
}

fn works_again(site: &mut Site) {
    site.connected();
    let task = site.accepted("Afterwards!1");
    let data = site.ended(task, Instant::now());
    assert_eq!(data["status"], 1, "{data}");
    assert!(site.machines.iter().all(|machine| machine.has("Afterwards!1")));
}

/// An editor that knows nothing of locks.
fn edit(machine: &Machine) {
    let text = fs::read_to_string(shadow(machine)).expect("the shadow file");
    let (root, rest) = text.split_once('\n').expect("lines");
    assert!(root.starts_with("root:"));
    let text = format!("root:{OTHER}:19000:0:99999:7:::\n{rest}");
    fs::write(shadow(machine), text).expect("written");
}

/// The system's own program; it must be root.
fn usermod(machine: &Machine) {
    let mut usermod = Command::new("usermod");
    usermod.arg("-R").arg(&machine.root).args(["-p", OTHER, "root"]);
    assert!(usermod.status().expect("usermod").success());
}

fn shadow(machine: &Machine) -> std::path::PathBuf {
    machine.root.join("etc/shadow")
}

fn backup(machine: &Machine) -> std::path::PathBuf {
    Path::new(&machine.root).join("etc/shadow.yesterday")
}
