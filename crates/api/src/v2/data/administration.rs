use jiff::tz::Offset;
use opencpm_operations::row::{Account, ApiKey};
use secrecy::ExposeSecret;
use serde::Serialize;

use crate::moment::{text, text_or_empty};
use crate::service;

/// What a second look at a task's reports says.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Verification<'a> {
    verified: bool,
    devices: Vec<VerifiedDevice<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct VerifiedDevice<'a> {
    instance_id: &'a str,
    status: u8,
    verified: bool,
    finding: &'a str,
}

impl<'a> Verification<'a> {
    pub(crate) fn new(devices: &'a [service::VerifiedDevice]) -> Self {
        let items = devices.iter().map(|device| VerifiedDevice {
            instance_id: device.instance.as_str(),
            status: device.status.number(),
            verified: device.verified,
            finding: &device.finding,
        });
        Self { verified: devices.iter().all(|device| device.verified), devices: items.collect() }
    }
}

/// All accounts.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AccountList<'a> {
    total_num: usize,
    account_list: Vec<AccountItem<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AccountItem<'a> {
    app_id: u64,
    name: &'a str,
    blocked: bool,
}

impl<'a> AccountList<'a> {
    pub(crate) fn new(accounts: &'a [Account]) -> Self {
        let items = accounts.iter().map(|account| AccountItem {
            app_id: account.app_id.get(),
            name: &account.name,
            blocked: account.blocked,
        });
        Self { total_num: accounts.len(), account_list: items.collect() }
    }
}

/// A key that was made; the only time that its secret is shown.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CreatedKey<'a> {
    secret_id: &'a str,
    secret_key: &'a str,
}

impl<'a> CreatedKey<'a> {
    pub(crate) fn new(key: &'a service::CreatedKey) -> Self {
        Self { secret_id: key.secret_id.as_str(), secret_key: key.secret_key.expose_secret() }
    }
}

/// Keys without their secrets.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct KeyList<'a> {
    total_num: usize,
    key_list: Vec<KeyItem<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct KeyItem<'a> {
    secret_id: &'a str,
    app_id: u64,
    uin: &'a str,
    admin: bool,
    /// Absent for a key that may use every action.
    #[serde(skip_serializing_if = "Option::is_none")]
    actions: Option<&'a [String]>,
    temporary: bool,
    /// Empty for a key that does not expire.
    expire_time: String,
    disabled: bool,
    create_time: String,
}

impl<'a> KeyList<'a> {
    pub(crate) fn new(keys: &'a [ApiKey], offset: Offset) -> Self {
        let items = keys.iter().map(|key| KeyItem {
            secret_id: key.secret_id.as_str(),
            app_id: key.app_id.get(),
            uin: key.uin.as_str(),
            admin: key.scope.admin,
            actions: key.scope.actions.as_deref(),
            temporary: key.token_hash.is_some(),
            expire_time: text_or_empty(key.expires, offset),
            disabled: key.disabled,
            create_time: text(key.created, offset),
        });
        Self { total_num: keys.len(), key_list: items.collect() }
    }
}

/// A device that was added.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CreatedDevice<'a> {
    pub(crate) instance_id: &'a str,
}

/// A token that was made; the only time that it is shown.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CreatedToken<'a> {
    token: &'a str,
    expire_time: String,
}

impl<'a> CreatedToken<'a> {
    pub(crate) fn new(token: &'a service::CreatedToken, offset: Offset) -> Self {
        let expire_time = text(token.expires, offset);
        Self { token: token.token.expose_secret(), expire_time }
    }
}
