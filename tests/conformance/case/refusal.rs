//! Refusals, as they reach the user through the client.

use opencpm_tests::root_hash;
use serde_json::Value;

use crate::dialect::Ability::{Reset, Task};
use crate::trial::{Expected, Key, StandsStill, Trial, ids};

const PARAMETER: (u64, &str) = (10001, "InvalidParameter");

pub(super) fn one_device_without_an_agent(trial: &mut Trial<'_>) {
    let expected = Expected {
        v2: (12006, "OperationDenied.TsysAgentNotAlive"),
        v3: "FailedOperation.TscAgentOffline",
    };
    let (good, bad) = (trial.alive()[0], trial.offline());
    let (before, password) = (root_hash(&good.root), trial.new_password());
    let with = trial.dialect().reset(&ids(&[good, bad]), &password);
    let message = trial.is_refused(trial.key(), (Reset, &with), &expected);
    assert!(message.contains(&bad.instance_id), "the bad one is named: {message}");
    assert!(!message.contains(&good.instance_id), "the good one is not: {message}");
    assert_eq!(root_hash(&good.root), before, "nothing was changed");
}

pub(super) fn a_device_that_is_busy(trial: &mut Trial<'_>) {
    let expected = Expected {
        v2: (12002, "OperationDenied.IncorrectInstanceStatus"),
        v3: "ResourceInUse.FlowBusy",
    };
    let device = &trial.alive()[..1];
    let (first, second) = (trial.new_password(), trial.new_password());
    let stands_still = StandsStill::agent_of(trial.lab, device[0]);
    let task = trial.reset(device, &first);
    let with = trial.dialect().reset(&ids(device), &second);
    let message = trial.is_refused(trial.key(), (Reset, &with), &expected);
    assert!(message.contains(&device[0].instance_id), "{message}");
    drop(stands_still);
    trial.succeeds(task, device, &first);
}

pub(super) fn unknown_devices(trial: &mut Trial<'_>) {
    let expected = Expected { v2: PARAMETER, v3: "ResourceNotFound" };
    let password = trial.new_password();
    let foreign = trial.lab.ready.other_account.instance_id.as_str();
    let [unknown, foreign] = ["cpm-nosuchone", foreign].map(|id| {
        let with = trial.dialect().reset(&[id], &password);
        let message = trial.is_refused(trial.key(), (Reset, &with), &expected);
        assert!(message.contains(id), "{message}");
        message.replace(id, "ID")
    });
    assert_eq!(unknown, foreign, "they are not told apart");
}

pub(super) fn an_unknown_task(trial: &mut Trial<'_>) {
    let expected = Expected { v2: PARAMETER, v3: "ResourceNotFound" };
    let with = trial.dialect().task(4711);
    trial.is_refused(trial.key(), (Task, &with), &expected);
}

pub(super) fn a_weak_password(trial: &mut Trial<'_>) {
    let expected = Expected { v2: PARAMETER, v3: "InvalidParameterValue.InvalidParameter" };
    let with = trial.dialect().reset(&ids(&trial.alive()[..1]), "onlyletters");
    let message = trial.is_refused(trial.key(), (Reset, &with), &expected);
    assert!(!message.contains("onlyletters"), "the password is not shown: {message}");
}

pub(super) fn a_wrong_key(trial: &mut Trial<'_>) {
    let expected = Expected { v2: (4100, "AuthFailure"), v3: "AuthFailure.SignatureFailure" };
    let (with, key) = (some_reset(trial), trial.key());
    let wrong = Key { secret: "not-the-key-that-was-given", ..key };
    trial.is_refused(wrong, (Reset, &with), &expected);
}

pub(super) fn an_unknown_key(trial: &mut Trial<'_>) {
    let expected = Expected {
        v2: (4104, "InvalidParameter.SecretIdNotFound"),
        v3: "AuthFailure.SecretIdNotFound",
    };
    let (with, key) = (some_reset(trial), trial.key());
    trial.is_refused(Key { id: "AKIDnosuchkey", ..key }, (Reset, &with), &expected);
}

fn some_reset(trial: &mut Trial<'_>) -> Value {
    let password = trial.new_password();
    trial.dialect().reset(&ids(&trial.alive()[..1]), &password)
}
