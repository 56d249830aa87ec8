//! A trust statement that was renewed reaches every process without a restart.

use crate::port::{Store, StoreError};
use crate::role::{LiveTrust, Trust, TrustError};

/// The store's statement is not taken; the one in force stays.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// Later, perhaps.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The root key did not sign it, or it is another installation's.
    #[error(transparent)]
    Trust(#[from] TrustError),
}

/// Puts the store's statement in force where it is newer. True when it was.
pub async fn reload_trust(store: &dyn Store, trust: &LiveTrust) -> Result<bool, ReloadError> {
    let Some(row) = store.deployment().await? else { return Ok(false) };
    let held = trust.now();
    if row.generation <= held.statement.generation {
        return Ok(false);
    }
    let newer = Trust::load(&row, &held.root)?;
    if newer.deployment() != held.deployment() {
        return Err(TrustError::OtherDeployment.into());
    }
    Ok(trust.replace(newer))
}
