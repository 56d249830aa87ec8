//! The first start of a deployment: its keys, its trust statement, its first account and key.

use std::sync::Arc;

use opencpm_domain::{AppId, DeploymentId, Generation, Span, Timestamp, Uin};
use opencpm_protocol::key::SigningKey;
use opencpm_protocol::sign::Signed;
use opencpm_protocol::statement::{TlsAuthority, TrustStatement};

use crate::administer::{KeyMaterial, MadeKey, NewApiKey, new_api_key};
use crate::keyring::{Keyring, MasterKey};
use crate::port::{
    Clock, DeploymentRow, FirstStart, Generator, Keys, KeysError, Random, Store, StoreError,
};
use crate::role::Settings;
use crate::row::{Account, AuditEntry, Scope};

/// How long a trust statement is believed: long enough for a root key that is kept offline.
pub const STATEMENT_VALIDITY: Span = Span::from_secs(400 * 86_400);

/// A statement is believed a little before it was made, by clocks that are behind.
const STATEMENT_LEAD: Span = Span::from_secs(86_400);

/// What the operator and the composition decide about a new deployment.
pub struct NewDeployment<'a> {
    /// Already on disk: from it everything at rest is encrypted.
    pub master: &'a MasterKey,
    /// Already on disk: signs the trust statement.
    pub root: &'a SigningKey,
    /// Its id; the files beside the store carry it too.
    pub deployment: DeploymentId,
    /// Certificate (DER) of the authority behind the agents' listener.
    pub tls_certificate: Vec<u8>,
    /// Its key; goes into the store encrypted.
    pub tls_key: zeroize::Zeroizing<Vec<u8>>,
    /// The first account.
    pub app_id: AppId,
    /// For people.
    pub account_name: String,
    /// The user of the first key.
    pub uin: Uin,
}

/// Name of the TLS authority's key among the encrypted keys of the deployment.
pub const TLS_KEY: &str = "tls authority";

/// A first start did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum FirstStartError {
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A key could not do its work.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// Somebody else was faster.
    #[error("the store has a deployment already")]
    Taken,
}

/// Makes everything that a first start writes into the store, and the first key, which may
/// administer everything. Whoever starts keeps the key before [`first_start`]: nobody can make
/// another one without it.
pub fn plan(
    clock: &dyn Clock,
    random: Arc<dyn Random>,
    new: NewDeployment<'_>,
) -> Result<(FirstStart, MadeKey), KeysError> {
    let now = clock.now();
    let keyring = Keyring::generate(new.deployment, new.master, Arc::clone(&random));
    let statement = TrustStatement {
        deployment: new.deployment,
        generation: Generation::FIRST,
        authorities: vec![keyring.authority_public()],
        row_keys: vec![keyring.row_key()],
        tls_authorities: vec![TlsAuthority(new.tls_certificate)],
        longest_deadline: Settings::LONGEST_DEADLINE,
        valid_from: now - STATEMENT_LEAD,
        valid_until: now + STATEMENT_VALIDITY,
    };
    let mut encrypted_keys = keyring.encrypted()?;
    encrypted_keys.push((TLS_KEY.to_owned(), keyring.encrypt_key(TLS_KEY, &new.tls_key)?));
    let material = KeyMaterial { keys: &keyring, random: &*random, now };
    let first_key = NewApiKey { app_id: new.app_id, uin: new.uin, scope: Scope::ADMINISTRATOR };
    let (api_key, made) = new_api_key(&material, first_key)?;
    let first = FirstStart {
        deployment: DeploymentRow {
            deployment: new.deployment,
            statement: Signed::sign(&statement, new.root).to_bytes(),
            generation: statement.generation,
            encrypted_keys,
        },
        account: Account { app_id: new.app_id, name: new.account_name, blocked: false },
        api_key,
        audit: AuditEntry {
            at: now,
            secret_id: None,
            uin: None,
            action: "FirstStart".to_owned(),
            subject: format!("deployment {}", new.deployment),
        },
    };
    Ok((first, made))
}

/// Initialises an empty store.
pub async fn first_start(store: &dyn Store, first: FirstStart) -> Result<(), FirstStartError> {
    if store.create_deployment(first).await? { Ok(()) } else { Err(FirstStartError::Taken) }
}

/// A new statement that says the same for longer, when less than half of its time is left.
pub fn renew_statement(
    statement: &TrustStatement,
    root: &SigningKey,
    now: Timestamp,
) -> Option<(Generation, Signed<TrustStatement>)> {
    let half = Span::from_micros(STATEMENT_VALIDITY.as_micros() / 2);
    if now + half < statement.valid_until {
        return None;
    }
    let renewed = TrustStatement {
        generation: statement.generation.next(),
        valid_from: now - STATEMENT_LEAD,
        valid_until: now + STATEMENT_VALIDITY,
        ..statement.clone()
    };
    Some((renewed.generation, Signed::sign(&renewed, root)))
}

/// New ids and keys that the composition writes to files before [`first_start`].
pub fn new_root_key(random: &dyn Random) -> SigningKey {
    SigningKey::generate(&mut Generator(random))
}
