//! What only one client does: its special features, and its traps.

use opencpm_tests::Device;
use serde_json::json;

use super::Case;
use crate::dialect::Ability::{Devices, Reset, Task};
use crate::dialect::SUCCEEDED;
use crate::trial::{Expected, Trial, ids};

/// Of the Node SDK of API 2.0, which draws nonces from 0 to 65535.
pub(crate) const NONCE_ZERO: Case =
    Case { name: "resets a device with the nonce 0", needs: &[Reset], run: nonce_zero };

/// Of the same: more than 1,000 parameters in a POST.
pub(crate) const MANY_PARAMETERS: Case = Case {
    name: "asks for 1,500 devices, with `maxKeys: 0`; without it, its POST is refused",
    needs: &[Devices],
    run: many_parameters,
};

/// Of tccli.
pub(crate) const WAITER: Case =
    Case { name: "waits for the task's end with `--waiter`", needs: &[Reset, Task], run: waiter };

fn nonce_zero(trial: &mut Trial<'_>) {
    let (device, password) = (&trial.alive()[..1], trial.new_password());
    let with = trial.dialect().reset(&ids(device), &password);
    let (key, settings) = (trial.key(), json!({"nonce": 0}));
    let answer = trial.does_with(key, Reset, &with, settings);
    let task = trial.dialect().task_id(&answer);
    trial.succeeds(task, device, &password);
}

/// The SDK drops what comes after the 1,000th parameter, the signature among it.
fn many_parameters(trial: &mut Trial<'_>) {
    let made_up: Vec<_> = (0..1_500).map(|number| format!("cpm-madeup{number}")).collect();
    let mut all: Vec<_> = made_up.iter().map(String::as_str).collect();
    all.extend(ids(&trial.alive()));
    let with = trial.dialect().devices(&all, (0, 20));
    let (key, settings) = (trial.key(), json!({"max_keys": 0}));
    let answer = trial.does_with(key, Devices, &with, settings);
    let (total, _) = trial.dialect().device_page(&answer);
    assert_eq!(total, trial.alive().len() as u64);
    if trial.posts() {
        let expected = Expected { v2: (4000, "InvalidParameter"), v3: "MissingParameter" };
        trial.is_refused(trial.key(), (Devices, &with), &expected);
    }
}

fn waiter(trial: &mut Trial<'_>) {
    let (devices, password) = (trial.alive(), trial.new_password());
    let task = trial.reset(&devices, &password);
    let (key, with) = (trial.key(), trial.dialect().task(task));
    let settings = json!({"waiter": "{'expr':'TaskStatus','to':1,'interval':1}"});
    let answer = trial.does_with(key, Task, &with, settings);
    let each: Vec<_> = ids_of(&devices).map(|id| (id, SUCCEEDED)).collect();
    assert_eq!(trial.dialect().task_status(&answer), (SUCCEEDED, each), "as it printed it");
    trial.succeeds(task, &devices, &password);
}

fn ids_of(devices: &[&Device]) -> impl Iterator<Item = String> {
    devices.iter().map(|device| device.instance_id.clone())
}
