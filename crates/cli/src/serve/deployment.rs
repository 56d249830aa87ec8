//! The deployment in its folder: made at the first start, opened at every other.
//!
//! | file | what | keep |
//! | --- | --- | --- |
//! | `root.key` | signs trust statements | offline, in a safe |
//! | `root.pub` | its public half | with the folder |
//! | `master.key` | from it everything at rest is encrypted | a copy, not beside the database's |
//! | `opencpm.db` | everything else | in the backup |
//! | `ca.pem` | for clients, to trust the API's certificate | - |
//! | `admin.toml` | the first key, for `opencpm --profile` | move it to the administrator |

use std::path::Path;
use std::sync::Arc;

use opencpm_domain::{AppId, DeploymentId, Uin};
use opencpm_operations::first_start::{NewDeployment, TLS_KEY, first_start, plan, renew_statement};
use opencpm_operations::keyring::{Keyring, MasterKey};
use opencpm_operations::port::{Clock, DeploymentRow, KeysError, Random, Store};
use opencpm_operations::role::{Trust, TrustError};
use opencpm_protocol::key::{SigningKey, VerifyingKey};
use secrecy::ExposeSecret;

use super::ServeError;
use super::authority::{Authority, new_authority};
use super::sockets::Addresses;
use super::{key_files, welcome};
use crate::config::Config;
use crate::files;

/// The store's file in the folder.
pub(super) const DATABASE: &str = "opencpm.db";
/// The root key's public half.
pub(super) const ROOT_PUBLIC: &str = "root.pub";
/// The TLS authority's certificate.
pub(crate) const CA: &str = "ca.pem";
/// The first key.
pub(crate) const ADMIN: &str = "admin.toml";

/// What the API role works with.
pub(super) struct Deployment {
    /// Its secret keys.
    pub(super) keyring: Keyring,
    /// What the root key says.
    pub(super) trust: Trust,
    /// Issues certificates.
    pub(super) authority: Authority,
    /// Whether this start made it.
    pub(super) is_first: bool,
}

/// Where everything is and what it is made with.
pub(super) struct Place<'a> {
    /// The operator's choices.
    pub(super) config: &'a Config,
    /// Opened.
    pub(super) store: &'a dyn Store,
    /// The time.
    pub(super) clock: Arc<dyn Clock>,
    /// For keys.
    pub(super) random: Arc<dyn Random>,
    /// Where the service can be reached.
    pub(super) addresses: &'a Addresses,
}

impl Deployment {
    /// Opens the deployment; makes it first where the store is empty.
    pub(super) async fn open(place: &Place<'_>) -> Result<Self, ServeError> {
        let found = place.store.deployment().await.map_err(ServeError::Store)?;
        let is_first = found.is_none();
        let row = match found {
            Some(row) => row,
            None => {
                place.create().await?;
                let row = place.store.deployment().await.map_err(ServeError::Store)?;
                row.ok_or(ServeError::NoDeployment)?
            }
        };
        let deployment = place.load(row, is_first).await?;
        place.keep_ca(&deployment.authority)?;
        Ok(deployment)
    }
}

impl Place<'_> {
    /// Keys go to disk before anything in the store depends on them. An interrupted first start
    /// begins again with the keys that it finds, and with another first key.
    async fn create(&self) -> Result<(), ServeError> {
        let (master_path, root_path) = (self.config.master_key(), self.config.root_key());
        let master = key_files::master_or_new(&master_path, &*self.random)?;
        let root = key_files::root_or_new(&root_path, &*self.random)?;
        key_files::keep_root_public(&self.root_public(), (&root_path, &root))?;
        let deployment = DeploymentId::from_bytes(self.random.bytes());
        let (certificate, key) = new_authority(deployment, self.clock.now())?;
        let (app_id, uin) = self.first_account()?;
        let new = NewDeployment {
            master: &master,
            root: &root,
            deployment,
            tls_certificate: certificate,
            tls_key: key,
            app_id,
            account_name: self.config.first.name.clone(),
            uin,
        };
        let planned = plan(&*self.clock, Arc::clone(&self.random), new);
        let (first, key) = planned.map_err(|error| ServeError::FirstStart(error.into()))?;
        welcome::keep_first_key(self.config, self.addresses, key)?;
        first_start(self.store, first).await.map_err(ServeError::FirstStart)
    }

    async fn load(&self, row: DeploymentRow, is_first: bool) -> Result<Deployment, ServeError> {
        let master = key_files::master(&self.config.master_key())?;
        let keyring = self.keyring(&row, &master)?;
        let tls_key =
            keyring.decrypt_key(TLS_KEY, &row.encrypted_keys).map_err(|e| self.other_master(e))?;
        let trust = self.trust(row).await?;
        trust.covers(&keyring).map_err(ServeError::Trust)?;
        let certificate = trust.statement.tls_authorities.first().cloned();
        let certificate = certificate.ok_or(ServeError::Trust(TrustError::OtherKeys))?.0;
        let clock = Arc::clone(&self.clock);
        let authority =
            Authority::load(trust.deployment(), certificate, tls_key.expose_secret(), clock)?;
        Ok(Deployment { keyring, trust, authority, is_first })
    }

    fn keyring(&self, row: &DeploymentRow, master: &MasterKey) -> Result<Keyring, ServeError> {
        let random = Arc::clone(&self.random);
        Keyring::load(row.deployment, master, &row.encrypted_keys, random)
            .map_err(|error| self.other_master(error))
    }

    fn other_master(&self, source: KeysError) -> ServeError {
        ServeError::OtherMaster { path: self.config.master_key(), source }
    }

    /// The statement in force; a new one where the root key is at hand and the old one runs out.
    async fn trust(&self, row: DeploymentRow) -> Result<Trust, ServeError> {
        let path = self.config.root_key();
        let root = key_files::root(&path)?;
        let public = match &root {
            Some(root) => key_files::keep_root_public(&self.root_public(), (&path, root))?,
            None => key_files::root_public(&self.root_public())?,
        };
        let trust = Trust::load(&row, &public).map_err(ServeError::Trust)?;
        match root {
            Some(root) => self.renew(row, trust, &root, &public).await,
            None => Ok(self.warn_of_the_end(trust)),
        }
    }

    async fn renew(
        &self,
        row: DeploymentRow,
        trust: Trust,
        root: &SigningKey,
        public: &VerifyingKey,
    ) -> Result<Trust, ServeError> {
        let renewed = renew_statement(&trust.statement, root, self.clock.now());
        let Some((generation, signed)) = renewed else { return Ok(trust) };
        let statement = signed.to_bytes();
        let put = self.store.put_statement(generation, statement.clone()).await;
        put.map_err(ServeError::Store)?;
        tracing::info!(generation = generation.get(), "the trust statement is renewed");
        Trust::load(&DeploymentRow { generation, statement, ..row }, public)
            .map_err(ServeError::Trust)
    }

    fn warn_of_the_end(&self, trust: Trust) -> Trust {
        let now = self.clock.now();
        let left = trust.statement.valid_until.as_days().saturating_sub(now.as_days());
        if trust.has_expired(now) {
            tracing::error!(
                "the trust statement has expired: machines refuse new jobs until the service is \
                 started with the root key"
            );
        } else if left < 60 {
            tracing::warn!(
                days = left,
                "the trust statement runs out: start once with the root key"
            );
        }
        trust
    }

    fn keep_ca(&self, authority: &Authority) -> Result<(), ServeError> {
        let path = self.config.dir.join(CA);
        let pem = authority.pem();
        if std::fs::read_to_string(&path).is_ok_and(|text| text == pem) {
            return Ok(());
        }
        files::replace_public(&path, &pem).map_err(|error| ServeError::File(path, error))
    }

    fn root_public(&self) -> std::path::PathBuf {
        Path::new(&self.config.dir).join(ROOT_PUBLIC)
    }

    fn first_account(&self) -> Result<(AppId, Uin), ServeError> {
        self.config.first_account().ok_or(ServeError::NoDeployment)
    }
}
