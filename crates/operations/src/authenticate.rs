//! Who is asking: the key behind a secret id.

use opencpm_domain::{AppId, Condition, InstanceId, Refusal, SecretId, TaskId, Uin};
use secrecy::SecretSlice;

use crate::authentic::{check_api_key, check_tag};
use crate::port::{FoundKey, Keys};
use crate::refusal::store_refusal;
use crate::role::ApiRole;
use crate::row::{FirstUse, Maintenance, Scope, Tag, Unique};

/// What is told of a device that the key is not limited to.
pub(crate) const NOT_OWN: &str = "it is none of the key's own devices";

/// The caller of a request whose signature verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// With which key.
    pub secret_id: SecretId,
    /// For which account.
    pub app_id: AppId,
    /// For which user.
    pub uin: Uin,
    /// What the key may do.
    pub scope: Scope,
    /// The key that made a temporary one.
    pub maker: Option<SecretId>,
}

/// A known and enabled key, to check a signature with.
#[derive(Debug)]
pub struct KnownKey {
    /// The caller, if the signature verifies.
    pub caller: Caller,
    /// The secret half.
    pub secret: SecretSlice<u8>,
    /// SHA-256 of the token that must come along; `None` for a permanent key.
    pub token_hash: Option<[u8; 32]>,
    /// Whether the service is under maintenance: read with the key, so that it is current and
    /// costs no statement of its own.
    pub maintenance: Option<Maintenance>,
}

/// Looks the key up (contract 7.1, step 3): known, enabled, not expired, its row authentic, its
/// account not blocked.
pub async fn known_key(role: &ApiRole, secret_id: &SecretId) -> Result<KnownKey, Refusal> {
    let found = role.store.api_key(secret_id).await.map_err(store_refusal)?;
    let unknown = || Refusal::from(Condition::SecretIdUnknown);
    let FoundKey { key, account, maintenance } = found.ok_or_else(unknown)?;
    if let Err(forged) = check_api_key(&*role.keys, &key) {
        tracing::error!(%secret_id, "{forged}");
        return Err(Refusal::new(Condition::SecretIdUnknown, forged.to_string()));
    }
    if key.disabled || key.expires.is_some_and(|end| role.clock.now() >= end) {
        return Err(unknown());
    }
    if account.blocked {
        return Err(Condition::AccountBlocked.into());
    }
    let about = key.secret_id.as_str().as_bytes();
    let secret = role.keys.decrypt(about, &key.encrypted_secret).map_err(|error| {
        tracing::error!(%secret_id, %error, "the secret key does not decrypt");
        Refusal::from(Condition::ServerBug)
    })?;
    let caller = Caller {
        secret_id: key.secret_id,
        app_id: key.app_id,
        uin: key.uin,
        scope: key.scope,
        maker: key.maker,
    };
    Ok(KnownKey { caller, secret, token_hash: key.token_hash, maintenance })
}

/// Refuses a request that was accepted before, or tells the task that it became (contract 7.1,
/// step 6). The commit that records the request decides in the end; asked first, so that a request
/// that comes again is called that, and not a reset of devices that are busy with it.
pub async fn check_unused(role: &ApiRole, unique: &Unique) -> Result<Option<TaskId>, Refusal> {
    match role.store.first_use(unique).await.map_err(store_refusal)? {
        None => Ok(None),
        Some(FirstUse::Task(task)) => Ok(Some(task)),
        Some(FirstUse::Change) => Err(Condition::Replayed.into()),
    }
}

impl KnownKey {
    /// Refuses what rests while the service is under maintenance (contract 7.1, step 8).
    pub fn check_maintenance(&self, rests: bool) -> Result<(), Refusal> {
        match &self.maintenance {
            Some(maintenance) if rests => {
                let told = match maintenance.message.as_str() {
                    "" => Condition::Maintenance.meaning().to_owned(),
                    message => format!("{} {message}", Condition::Maintenance.meaning()),
                };
                Err(Refusal::new(Condition::Maintenance, told))
            }
            _ => Ok(()),
        }
    }
}

impl Caller {
    /// Whether the key may use this operation (contract 7.1, step 8). `action` is the operation's
    /// name in API 2.0, `admin` whether it is an administrative one.
    pub fn check_allowed(&self, action: &str, admin: bool) -> Result<(), Refusal> {
        if self.scope.allows_action(action) && (self.scope.admin || !admin) {
            return Ok(());
        }
        Err(Condition::ActionNotAllowed.into())
    }

    /// Refuses to a temporary key what would outlast it: other keys.
    pub(crate) fn check_lasting(&self) -> Result<(), Refusal> {
        if self.maker.is_some() {
            let why = "a temporary key makes no keys: they could outlive it";
            return Err(Refusal::new(Condition::ActionNotAllowed, why));
        }
        Ok(())
    }

    /// Whether a device of the caller's account is one of the key's own (contract 7.1, step 10).
    /// For reading: what is told lies open to whoever could forge a tag.
    pub fn check_device(&self, instance: &InstanceId, tags: &[Tag]) -> Result<(), Refusal> {
        if self.scope.allows_device(instance, tags, |_| true) {
            return Ok(());
        }
        Err(Refusal::new(Condition::DeviceNotAllowed, format!("{instance}: {NOT_OWN}")))
    }

    /// Whether the key may act on a device of the caller's account. A tag that the API role did not
    /// give to it does not count, and the operator hears of it.
    pub(crate) fn may_act_on(&self, keys: &dyn Keys, instance: &InstanceId, tags: &[Tag]) -> bool {
        self.scope.allows_device(instance, tags, |tag| {
            let checked = check_tag(keys, self.app_id, instance, tag);
            if let Err(forged) = checked {
                let secret_id = &self.secret_id;
                tracing::warn!(%instance, %secret_id, "{forged}, or older than MACs: not counted");
            }
            checked.is_ok()
        })
    }
}
