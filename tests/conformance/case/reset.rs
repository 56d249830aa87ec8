//! Resets that succeed.

use crate::dialect::{Ability, INCOMPLETE};
use crate::trial::{StandsStill, Trial, ids};

/// Operate status of a device whose password is being reset, and of one that runs (contract
/// section 5).
const RESETTING: u64 = 11;
const RUNNING: u64 = 1;

pub(super) fn one(trial: &mut Trial<'_>) {
    let password = trial.new_password();
    sets(trial, &password);
}

pub(super) fn several(trial: &mut Trial<'_>) {
    let (devices, password) = (trial.alive(), trial.new_password());
    assert!(devices.len() > 1, "several devices");
    // Not sorted: the answer keeps the order of the request.
    let devices: Vec<_> = devices.into_iter().rev().collect();
    let task = trial.reset(&devices, &password);
    trial.succeeds(task, &devices, &password);
}

/// Some clients send such a value and do not sign it (contract 2.5).
pub(super) fn password_that_begins_with_at(trial: &mut Trial<'_>) {
    let password = trial.new_password().replace("Cl1ent", "@Cl1nt");
    sets(trial, &password);
}

/// 16 characters, as many as there may be, and each symbol that the policy allows.
pub(super) fn password_with_every_symbol(trial: &mut Trial<'_>) {
    sets(trial, "aB3!@#$%&^*()xY4");
}

fn sets(trial: &mut Trial<'_>, password: &str) {
    let device = &trial.alive()[..1];
    let task = trial.reset(device, password);
    trial.succeeds(task, device, password);
}

pub(super) fn of_a_machine_that_is_silent(trial: &mut Trial<'_>) {
    let devices = &trial.alive()[..2];
    let (silent, password) = (devices[1], trial.new_password());
    let stands_still = StandsStill::agent_of(trial.lab, silent);
    let task = trial.reset(devices, &password);
    let (status, each) = trial.task(task);
    assert_eq!(status & INCOMPLETE, INCOMPLETE, "one bit of the task's");
    assert_eq!(each[1], (silent.instance_id.clone(), INCOMPLETE));
    assert_eq!(operate_status(trial, silent), RESETTING);
    drop(stands_still);
    trial.succeeds(task, devices, &password);
    assert_eq!(operate_status(trial, silent), RUNNING);
}

fn operate_status(trial: &mut Trial<'_>, device: &opencpm_tests::Device) -> u64 {
    let with = trial.dialect().devices(&ids(&[device]), (0, 1));
    let answer = trial.does(Ability::Devices, &with);
    let (_, devices) = trial.dialect().device_page(&answer);
    devices[0].1
}
