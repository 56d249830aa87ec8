use opencpm_domain::{AppId, Condition, Refusal, SecretId, Timestamp, Uin};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::{Administrator, accounts, write};
use crate::authentic::{api_key_mac, check_api_key};
use crate::port::{Change, Keys, KeysError, Random};
use crate::refusal::{keys_refusal, store_refusal};
use crate::role::ApiRole;
use crate::row::{ApiKey, DeviceScope, Scope};

/// A key to be made.
#[derive(Clone, Debug)]
pub struct NewApiKey {
    /// The account that it acts for.
    pub app_id: AppId,
    /// The user that it acts for.
    pub uin: Uin,
    /// What it may do.
    pub scope: Scope,
}

/// A new key, with its secret for the only time in clear.
#[derive(Debug)]
pub struct MadeKey {
    /// The public half.
    pub secret_id: SecretId,
    /// The secret half.
    pub secret_key: SecretString,
}

/// What a key is made of and protected with.
pub struct KeyMaterial<'a> {
    /// Encrypts and authenticates.
    pub keys: &'a dyn Keys,
    /// Makes the secret.
    pub random: &'a dyn Random,
    /// Now.
    pub now: Timestamp,
}

/// Makes a key's row and its secret; writes nothing.
pub fn new_api_key(
    material: &KeyMaterial<'_>,
    new: NewApiKey,
) -> Result<(ApiKey, MadeKey), KeysError> {
    let secret_id = SecretId::from_random(material.random.bytes());
    let secret_key = secret_text(material.random);
    let about = secret_id.as_str().as_bytes();
    let encrypted_secret = material.keys.encrypt(about, secret_key.expose_secret().as_bytes())?;
    let mut key = ApiKey {
        secret_id: secret_id.clone(),
        encrypted_secret,
        app_id: new.app_id,
        uin: new.uin,
        scope: new.scope,
        token_hash: None,
        expires: None,
        maker: None,
        disabled: false,
        created: material.now,
        mac: [0; 32],
    };
    key.mac = api_key_mac(material.keys, &key);
    Ok((key, MadeKey { secret_id, secret_key }))
}

/// Makes a key.
pub async fn create_api_key(
    role: &ApiRole,
    by: Administrator,
    new: NewApiKey,
) -> Result<MadeKey, Refusal> {
    by.caller.check_lasting()?;
    check_scope(&new.scope)?;
    accounts::account(role, new.app_id).await?;
    let material = KeyMaterial { keys: &*role.keys, random: &*role.random, now: role.clock.now() };
    let (key, made) = new_api_key(&material, new).map_err(keys_refusal)?;
    let subject = format!("key {}", key.secret_id);
    write(role, by, "CreateApiKey", subject, Change::CreateApiKey(key)).await?;
    Ok(made)
}

/// Refuses a scope that would mean nothing, or too much work for each request.
pub(super) fn check_scope(scope: &Scope) -> Result<(), Refusal> {
    let Some(devices) = &scope.devices else { return Ok(()) };
    if scope.admin {
        let why = "a key that may administrate cannot be limited to devices: it could tag them";
        return Err(Refusal::new(Condition::ParameterInvalid, why));
    }
    let (count, most) = (devices.instances.len(), DeviceScope::MOST_INSTANCES);
    if count > most {
        let why = format!("a key can have at most {most} devices of its own by id; use a tag");
        return Err(Refusal::new(Condition::ParameterOutOfBounds, why));
    }
    Ok(())
}

/// Disables or enables a key. The temporary keys that a disabled one made are forgotten.
pub async fn disable_api_key(
    role: &ApiRole,
    by: Administrator,
    secret_id: &SecretId,
    disabled: bool,
) -> Result<(), Refusal> {
    if !disabled {
        // What is enabled lasts longer than a temporary key.
        by.caller.check_lasting()?;
    }
    let subject = format!("key {secret_id}");
    let found = role.store.api_key(secret_id).await.map_err(store_refusal)?;
    let missing = || Refusal::new(Condition::NotFound, format!("there is no {subject}"));
    let mut key = found.ok_or_else(missing)?.key;
    let forged = check_api_key(&*role.keys, &key).err();
    key.disabled = disabled;
    match forged {
        // Switched off as it is, and what it made with it; never made authentic by this.
        Some(_) if disabled => {}
        Some(forged) => {
            return Err(Refusal::new(Condition::ParameterInvalid, forged.to_string()));
        }
        None => key.mac = api_key_mac(&*role.keys, &key),
    }
    write(role, by, "ModifyApiKey", subject.clone(), Change::ModifyApiKey(key)).await
}

/// Keys of one account or of all, without their secrets' meaning: the rows hold them encrypted.
pub async fn describe_api_keys(
    role: &ApiRole,
    account: Option<AppId>,
) -> Result<Vec<ApiKey>, Refusal> {
    role.store.api_keys(account).await.map_err(store_refusal)
}

/// 160 random bits as text.
pub(super) fn secret_text(random: &dyn Random) -> SecretString {
    SecretString::from(letters(&*Zeroizing::new(random.bytes::<32>())))
}

/// Five bits of each byte as a letter or digit.
fn letters(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte & 31)])).collect()
}
