use jiff::tz::Offset;
use opencpm_operations::administer::{MadeKey, MadeToken};
use opencpm_operations::operation_result::TaskVerification;
use opencpm_operations::row::{Account, ApiKey};
use secrecy::ExposeSecret;
use serde::Serialize;

use crate::moment::{text, text_or_empty};

/// What a second look at a task's kept reports says.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Verification<'a> {
    task_id: u64,
    /// True when every success is proven.
    verified: bool,
    /// The devices that succeeded.
    devices: Vec<VerifiedDevice<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct VerifiedDevice<'a> {
    instance_id: &'a str,
    verified: bool,
    finding: String,
}

impl<'a> Verification<'a> {
    pub(crate) fn new(task: &'a TaskVerification) -> Self {
        let devices = task.successes.iter().map(|(instance, proof)| VerifiedDevice {
            instance_id: instance.as_str(),
            verified: proof.is_ok(),
            finding: match proof {
                Ok(()) => "the machine signed that it set the password".to_owned(),
                Err(error) => error.to_string(),
            },
        });
        Self {
            task_id: task.task.task.get(),
            verified: task.successes.iter().all(|(_, proof)| proof.is_ok()),
            devices: devices.collect(),
        }
    }
}

/// All accounts.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AccountList<'a> {
    total_num: usize,
    account_list: Vec<AccountItem<'a>>,
}

/// One account.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AccountItem<'a> {
    app_id: u64,
    name: &'a str,
    blocked: bool,
}

impl<'a> AccountList<'a> {
    pub(crate) fn new(accounts: &'a [Account]) -> Self {
        let items = accounts.iter().map(AccountItem::new);
        Self { total_num: accounts.len(), account_list: items.collect() }
    }
}

impl<'a> AccountItem<'a> {
    pub(crate) fn new(account: &'a Account) -> Self {
        Self { app_id: account.app_id.get(), name: &account.name, blocked: account.blocked }
    }
}

/// A key that was made; the only time that its secret is shown.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NewKey<'a> {
    secret_id: &'a str,
    secret_key: &'a str,
}

impl<'a> NewKey<'a> {
    pub(crate) fn new(key: &'a MadeKey) -> Self {
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
pub(crate) struct NewDevice<'a> {
    pub(crate) instance_id: &'a str,
}

/// A token that was made; the only time that it is shown.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NewToken<'a> {
    token: &'a str,
    expire_time: String,
}

impl<'a> NewToken<'a> {
    pub(crate) fn new(token: &'a MadeToken, offset: Offset) -> Self {
        let expire_time = text(token.expires, offset);
        Self { token: token.token.expose_secret(), expire_time }
    }
}
