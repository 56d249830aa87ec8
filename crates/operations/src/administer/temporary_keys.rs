use opencpm_domain::{AppId, Condition, Refusal, Span, Timestamp, Uin};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use super::api_keys::{KeyMaterial, MadeKey, NewApiKey, check_scope, new_api_key, secret_text};
use super::{Administrator, accounts, write};
use crate::authentic::api_key_mac;
use crate::authenticate::Caller;
use crate::port::Change;
use crate::refusal::keys_refusal;
use crate::role::ApiRole;
use crate::row::Scope;

/// A key for a while. What is not given is as the maker has it.
#[derive(Clone, Debug)]
pub struct NewTemporaryKey {
    /// The account that it acts for. Another one than the maker's: for administrators.
    pub app_id: Option<AppId>,
    /// The user that it acts for. Another one than the maker's: for administrators.
    pub uin: Option<Uin>,
    /// What it may do: never more than its maker. `None` for the maker's own actions or devices.
    pub scope: Scope,
    /// How long it is good for.
    pub lifetime: Span,
}

/// A new temporary key, with its secrets for the only time in clear.
#[derive(Debug)]
pub struct MadeTemporaryKey {
    /// Its two halves.
    pub key: MadeKey,
    /// Goes with each of its requests.
    pub token: SecretString,
    /// As if unknown from then on.
    pub expires: Timestamp,
}

/// Makes a key that ends by itself, and with the key that makes it.
pub async fn create_temporary_key(
    role: &ApiRole,
    by: Administrator,
    new: NewTemporaryKey,
) -> Result<MadeTemporaryKey, Refusal> {
    let maker = &by.caller;
    let expires = role.clock.now() + new.lifetime;
    let new = within_maker(maker, new)?;
    check_scope(&new.scope)?;
    if new.app_id != maker.app_id {
        accounts::account(role, new.app_id).await?;
    }
    let token = secret_text(&*role.random);
    let material = KeyMaterial { keys: &*role.keys, random: &*role.random, now: role.clock.now() };
    let (mut row, key) = new_api_key(&material, new).map_err(keys_refusal)?;
    row.token_hash = Some(Sha256::digest(token.expose_secret()).into());
    row.expires = Some(expires);
    row.maker = Some(maker.secret_id.clone());
    row.mac = api_key_mac(&*role.keys, &row);
    let subject = format!("temporary key {}", row.secret_id);
    write(role, by, "CreateTemporaryKey", subject, Change::CreateApiKey(row)).await?;
    Ok(MadeTemporaryKey { key, token, expires })
}

/// The key as its maker may make it.
fn within_maker(maker: &Caller, new: NewTemporaryKey) -> Result<NewApiKey, Refusal> {
    maker.check_lasting()?;
    let own = &maker.scope;
    let scope = Scope {
        admin: new.scope.admin,
        actions: new.scope.actions.or_else(|| own.actions.clone()),
        devices: new.scope.devices.or_else(|| own.devices.clone()),
    };
    let app_id = new.app_id.unwrap_or(maker.app_id);
    let uin = new.uin.unwrap_or_else(|| maker.uin.clone());
    let other = app_id != maker.app_id || uin != maker.uin;
    if !own.admin && (other || scope.admin) {
        let why = "only a key that may administrate makes keys for others, or such a key";
        return Err(Refusal::new(Condition::ActionNotAllowed, why));
    }
    if !own.covers_actions(&scope) {
        let why = "a key cannot give away actions that it may not use itself";
        return Err(Refusal::new(Condition::ActionNotAllowed, why));
    }
    if !own.covers_devices(&scope) {
        let why = "a key cannot give away devices other than its own: by id those that it lists, \
                   by tag those that it has by this tag";
        return Err(Refusal::new(Condition::DeviceNotAllowed, why));
    }
    Ok(NewApiKey { app_id, uin, scope })
}
