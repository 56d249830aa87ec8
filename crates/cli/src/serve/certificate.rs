//! The certificate that the listeners of this process show, replaced while they use it.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use opencpm_domain::Timestamp;
use opencpm_operations::port::Clock;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;

use super::authority::{Authority, TlsError};

/// So often it is looked whether the time for a renewal has come: by the clock, because a machine
/// may sleep.
pub(super) const LOOK: Duration = Duration::from_secs(3_600);

/// The certificate in force.
pub(super) struct Current(RwLock<Arc<CertifiedKey>>);

impl Current {
    /// Begins with this one.
    pub(super) fn new(key: CertifiedKey) -> Arc<Self> {
        Arc::new(Self(RwLock::new(Arc::new(key))))
    }

    /// New connections see this one from now on.
    pub(super) fn replace(&self, key: CertifiedKey) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(key);
        tracing::info!("the listeners have a new certificate");
    }

    /// What is shown now.
    pub(super) fn shown(&self) -> Arc<CertifiedKey> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What the API's listener needs.
    pub(super) fn api_config(self: &Arc<Self>) -> Result<ServerConfig, TlsError> {
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth();
        Ok(config.with_cert_resolver(self.clone()))
    }

    /// What the agents' listener needs: no memory of past sessions, agents stay connected.
    pub(super) fn agents_config(self: &Arc<Self>) -> Result<ServerConfig, TlsError> {
        let mut config = self.api_config()?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(config)
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.shown())
    }
}

impl std::fmt::Debug for Current {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Current").finish_non_exhaustive()
    }
}

/// The certificate of a process with the API role: made by itself, its key in memory only. So
/// there is no key file to protect, and none that runs out.
pub(super) struct OwnCertificate {
    pub(super) authority: Arc<Authority>,
    pub(super) names: Vec<String>,
    pub(super) clock: Arc<dyn Clock>,
}

impl OwnCertificate {
    /// Issues the first one, and says when to replace it.
    pub(super) fn issue(&self) -> Result<(Arc<Current>, Timestamp), TlsError> {
        let (key, renew) = self.authority.own(&self.names)?;
        Ok((Current::new(key), renew))
    }

    /// Replaces it in good time, for as long as the process runs.
    pub(super) async fn renew_for_ever(self, current: Arc<Current>, mut renew: Timestamp) {
        loop {
            tokio::time::sleep(LOOK).await;
            if self.clock.now() < renew {
                continue;
            }
            match self.authority.own(&self.names) {
                Ok((key, next)) => {
                    current.replace(key);
                    renew = next;
                }
                Err(error) => tracing::error!(%error, "the certificate could not be renewed"),
            }
        }
    }
}
