//! Keys that may not do everything, and times in which nobody may.

use serde_json::json;

use crate::dialect::Ability::{Devices, Log, Reset};
use crate::trial::{Expected, Key, Maintenance, Trial, ids};

pub(super) fn temporary(trial: &mut Trial<'_>) {
    let expected =
        Expected { v2: (4105, "InvalidRequest.TokenCheckFailed"), v3: "AuthFailure.TokenFailure" };
    let made = trial.makes_key("CreateTemporaryKey", &[("validSeconds", "600")]);
    assert!(made.key().token.is_some(), "a token");
    let (device, password) = (&trial.alive()[..1], trial.new_password());
    let with = trial.dialect().reset(&ids(device), &password);
    let tokenless = Key { token: None, ..made.key() };
    trial.is_refused(tokenless, (Reset, &with), &expected);
    let answer = trial.does_with(made.key(), Reset, &with, json!({}));
    let task = trial.dialect().task_id(&answer);
    trial.succeeds(task, device, &password);
}

pub(super) fn for_tagged_devices(trial: &mut Trial<'_>) {
    let expected = Expected { v2: (4103, "UnauthorizedOperation"), v3: "UnauthorizedOperation" };
    let (alive, password) = (trial.alive(), trial.new_password());
    let tag = [("tags.0.tagKey", "team"), ("tags.0.tagValues.0", "clients")];
    let its = ("instanceId", alive[0].instance_id.as_str());
    trial.administrates("ModifyDevice", &[its, tag[0], tag[1]]);
    let made = trial.makes_account_key(&tag);
    let (own, both) = (ids(&alive[..1]), ids(&alive[..2]));

    let with = trial.dialect().devices(&both, (0, 20));
    let answer = trial.does_with(made.key(), Devices, &with, json!({}));
    let (total, page) = trial.dialect().device_page(&answer);
    assert_eq!((total, page[0].0.as_str()), (1, own[0]), "{answer}");
    let with = trial.dialect().reset(&both, &password);
    let message = trial.is_refused(made.key(), (Reset, &with), &expected);
    assert!(message.contains(both[1]), "the other one is named: {message}");
    let with = trial.dialect().reset(&own, &password);
    let answer = trial.does_with(made.key(), Reset, &with, json!({}));
    let task = trial.dialect().task_id(&answer);
    trial.succeeds(task, &alive[..1], &password);
}

pub(super) fn for_reading(trial: &mut Trial<'_>) {
    let expected =
        Expected { v2: (4101, "UnauthorizedOperation"), v3: "AuthFailure.UnauthorizedOperation" };
    let made = trial.makes_account_key(&[("actions.0", "DescribeDevice")]);
    let (device, password) = (&trial.alive()[..1], trial.new_password());
    let with = trial.dialect().devices(&ids(device), (0, 1));
    trial.does_with(made.key(), Devices, &with, json!({}));
    let with = trial.dialect().reset(&ids(device), &password);
    trial.is_refused(made.key(), (Reset, &with), &expected);
}

/// The lab gives each key one look at a log in a minute.
pub(super) fn beyond_its_quota(trial: &mut Trial<'_>) {
    let expected =
        Expected { v2: (4400, "InvalidRequest.LimitExceeded"), v3: "RequestLimitExceeded" };
    let made = trial.makes_account_key(&[]);
    let with = trial.dialect().log(&trial.alive()[0].instance_id);
    trial.does_with(made.key(), Log, &with, json!({}));
    trial.is_refused(made.key(), (Log, &with), &expected);
}

pub(super) fn during_maintenance(trial: &mut Trial<'_>) {
    let expected =
        Expected { v2: (6200, "InvalidAction.ActionUnavailable"), v3: "ServiceUnavailable" };
    let (device, password) = (&trial.alive()[..1], trial.new_password());
    let with = trial.dialect().reset(&ids(device), &password);
    let maintenance = Maintenance::begin(trial.lab, "back at noon");
    let message = trial.is_refused(trial.key(), (Reset, &with), &expected);
    assert!(message.contains("back at noon"), "{message}");
    let reading = trial.dialect().devices(&ids(device), (0, 1));
    trial.does(Devices, &reading);
    drop(maintenance);
    let task = trial.reset(device, &password);
    trial.succeeds(task, device, &password);
}
