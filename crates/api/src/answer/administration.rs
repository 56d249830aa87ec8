use opencpm_domain::{InstanceId, SecretId};
use opencpm_operations::administer::{MadeKey, MadeTemporaryKey, MadeToken};
use opencpm_operations::row::{Account, ApiKey, DeviceScope, Maintenance, Node};
use secrecy::ExposeSecret;

use super::object::Object;
use super::table::*;

/// One account.
pub(super) fn account(account: &Account, to: &mut Object<'_>) {
    to.number(&APP_ID, account.app_id.get());
    to.text(&NAME, &account.name);
    to.flag(&BLOCKED, account.blocked);
}

/// All accounts.
pub(super) fn accounts(accounts: &[Account], to: &mut Object<'_>) {
    to.number(&TOTAL, accounts.len() as u64);
    to.objects(&ACCOUNT_LIST, accounts, account);
}

/// A key that was made; the only time that its secret is shown.
pub(super) fn new_key(made: &MadeKey, to: &mut Object<'_>) {
    to.text(&SECRET_ID, made.secret_id.as_str());
    to.text(&SECRET_KEY, made.secret_key.expose_secret());
}

/// A temporary key that was made; the only time that its secrets are shown.
pub(super) fn new_temporary_key(made: &MadeTemporaryKey, to: &mut Object<'_>) {
    new_key(&made.key, to);
    to.text(&KEY_TOKEN, made.token.expose_secret());
    to.time(&EXPIRE_TIME, Some(made.expires));
}

/// Keys without their secrets.
pub(super) fn keys(keys: &[ApiKey], to: &mut Object<'_>) {
    to.number(&TOTAL, keys.len() as u64);
    to.objects(&KEY_LIST, keys, |key, to| {
        to.text(&SECRET_ID, key.secret_id.as_str());
        to.number(&APP_ID, key.app_id.get());
        to.text(&UIN, key.uin.as_str());
        to.flag(&ADMIN, key.scope.admin);
        if let Some(actions) = &key.scope.actions {
            to.texts(&ACTIONS, actions.iter().map(String::as_str));
        }
        if let Some(devices) = &key.scope.devices {
            to.object(&OWN_DEVICES, |to| scope(devices, to));
        }
        to.flag(&TEMPORARY, key.token_hash.is_some());
        to.optional(&MAKER, key.maker.as_ref().map(SecretId::as_str));
        to.time(&EXPIRE_TIME, key.expires);
        to.flag(&DISABLED, key.disabled);
        to.time(&CREATE_TIME, Some(key.created));
    });
}

/// The devices of a key that is limited to some.
fn scope(devices: &DeviceScope, to: &mut Object<'_>) {
    to.texts(&OWN_IDS, devices.instances.iter().map(InstanceId::as_str));
    to.objects(&OWN_TAGS, &devices.tags, |tag, to| {
        to.text(&OWN_TAG_KEY, &tag.key);
        to.texts(&OWN_TAG_VALUES, tag.values.iter().map(String::as_str));
    });
}

/// A token that was made; the only time that it is shown.
pub(super) fn token(made: &MadeToken, to: &mut Object<'_>) {
    to.text(&ENROLMENT_TOKEN, made.token.expose_secret());
    to.time(&EXPIRE_TIME, Some(made.expires));
}

/// A node token that was made; the only time that it is shown.
pub(super) fn node_token(made: &MadeToken, to: &mut Object<'_>) {
    to.text(&NEW_NODE_TOKEN, made.token.expose_secret());
    to.time(&EXPIRE_TIME, Some(made.expires));
}

/// All nodes without the API role.
pub(super) fn nodes(nodes: &[Node], to: &mut Object<'_>) {
    to.number(&TOTAL, nodes.len() as u64);
    to.objects(&NODE_LIST, nodes, |node, to| {
        to.text(&NODE_ID, &node.id.to_string());
        to.text(&HOST_NAME, &node.hostname);
        to.texts(&NODE_NAMES, node.names.iter().map(String::as_str));
        to.time(&JOIN_TIME, Some(node.joined));
        to.time(&RENEW_TIME, Some(node.renewed));
        to.flag(&REVOKED, node.revoked.is_some());
    });
}

/// Whether the service is under maintenance.
pub(super) fn maintenance(maintenance: Option<&Maintenance>, to: &mut Object<'_>) {
    to.flag(&UNDER_MAINTENANCE, maintenance.is_some());
    to.text(&MESSAGE, maintenance.map_or("", |maintenance| &maintenance.message));
    to.time(&MAINTENANCE_START, maintenance.map(|maintenance| maintenance.since));
}
