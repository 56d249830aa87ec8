//! The deployment's TLS authority and the certificate that its listeners show.
//!
//! The certificate lives in memory only: it is made at each start and replaced while the process
//! runs. So there is no key file to protect, and none that runs out.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jiff::tz::Offset;
use opencpm_domain::{DeploymentId, Span, Timestamp};
use opencpm_operations::port::Clock;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use zeroize::Zeroizing;

/// Clients keep this file; when it must change, the trust statement leads the agents over.
const AUTHORITY_VALIDITY: Span = days(20 * 365);
const CERTIFICATE_VALIDITY: Span = days(90);
/// Certificates are good a little earlier, for clocks that are behind.
const LEAD: Span = days(1);
/// Long before the end.
const RENEWAL: Duration = Duration::from_secs(30 * 86_400);

const fn days(count: u64) -> Span {
    Span::from_secs(count * 86_400)
}

/// A certificate could not be made or used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    /// The certificate library.
    #[error("the deployment's TLS certificate cannot be made")]
    Make(#[from] rcgen::Error),
    /// The TLS library.
    #[error("the TLS certificate cannot be used")]
    Use(#[from] tokio_rustls::rustls::Error),
}

/// A new authority: its certificate and its key, both in DER.
pub(super) fn new_authority(
    deployment: DeploymentId,
    now: Timestamp,
) -> Result<(Vec<u8>, Zeroizing<Vec<u8>>), TlsError> {
    let key = KeyPair::generate()?;
    let mut params = authority_params(deployment)?;
    set_validity(&mut params, now, AUTHORITY_VALIDITY);
    let certificate = params.self_signed(&key)?;
    Ok((certificate.der().to_vec(), Zeroizing::new(key.serialize_der())))
}

/// The same at every start, so that certificates name the issuer as it names itself.
fn authority_params(deployment: DeploymentId) -> Result<CertificateParams, TlsError> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = named(&format!("OpenCPM deployment {deployment}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

/// Issues the listeners' certificate.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    clock: Arc<dyn Clock>,
}

impl Authority {
    /// The authority that [`new_authority`] made.
    pub(super) fn load(
        deployment: DeploymentId,
        certificate: Vec<u8>,
        key: &[u8],
        clock: Arc<dyn Clock>,
    ) -> Result<Self, TlsError> {
        let key = KeyPair::try_from(key)?;
        let issuer = Issuer::new(authority_params(deployment)?, key);
        Ok(Self { issuer, certificate: certificate.into(), clock })
    }

    /// Its certificate in PEM, for clients.
    pub(super) fn pem(&self) -> String {
        use base64::Engine;
        let text = base64::engine::general_purpose::STANDARD.encode(&self.certificate);
        let lines = text.as_bytes().chunks(64).map(String::from_utf8_lossy);
        let lines = lines.collect::<Vec<_>>().join("\n");
        format!("-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n")
    }

    /// A certificate for these names, valid from now on.
    fn issue(&self, names: &[String]) -> Result<CertifiedKey, TlsError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name = named(names.first().map_or("opencpm", String::as_str));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        set_validity(&mut params, self.clock.now(), CERTIFICATE_VALIDITY);
        let certificate = params.signed_by(&key, &self.issuer)?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let key = ring::sign::any_supported_type(&key)?;
        Ok(CertifiedKey::new(vec![certificate.der().clone(), self.certificate.clone()], key))
    }
}

/// The certificate in force; replaced while listeners use it.
pub(super) struct Current {
    authority: Authority,
    names: Vec<String>,
    key: RwLock<Arc<CertifiedKey>>,
}

impl Current {
    /// Issues the first one.
    pub(super) fn issue(authority: Authority, names: Vec<String>) -> Result<Arc<Self>, TlsError> {
        let key = RwLock::new(Arc::new(authority.issue(&names)?));
        Ok(Arc::new(Self { authority, names, key }))
    }

    /// Replaces it in good time, for as long as the process runs.
    pub(super) async fn renew_for_ever(self: Arc<Self>) {
        loop {
            tokio::time::sleep(RENEWAL).await;
            match self.authority.issue(&self.names) {
                Ok(key) => {
                    *self.key.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(key);
                    tracing::info!("the listeners have a new certificate");
                }
                Err(error) => tracing::error!(%error, "the certificate could not be renewed"),
            }
        }
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
        Some(self.key.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

impl std::fmt::Debug for Current {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Current").field("names", &self.names).finish_non_exhaustive()
    }
}

fn named(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

/// In whole days.
fn set_validity(params: &mut CertificateParams, now: Timestamp, length: Span) {
    let day = |at: Timestamp| {
        let at = jiff::Timestamp::from_second(at.as_secs().cast_signed()).unwrap_or_default();
        let date = Offset::UTC.to_datetime(at).date();
        date_time_ymd(date.year().into(), date.month().cast_unsigned(), date.day().cast_unsigned())
    };
    params.not_before = day(now - LEAD);
    params.not_after = day(now + length);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::SystemClock;
    use tokio_rustls::rustls::pki_types::pem::PemObject;

    const DEPLOYMENT: DeploymentId = DeploymentId::from_bytes([7; 16]);

    fn load(certificate: &[u8], key: &[u8]) -> Authority {
        Authority::load(DEPLOYMENT, certificate.to_vec(), key, Arc::new(SystemClock)).unwrap()
    }

    #[test]
    fn an_authority_that_comes_back_from_the_store_still_issues() {
        let (certificate, key) = new_authority(DEPLOYMENT, SystemClock.now()).unwrap();
        let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        let current = Current::issue(load(&certificate, &key), names.into()).unwrap();
        let chain = current.key.read().unwrap().cert.clone();
        assert_eq!(chain.len(), 2);
        assert_eq!(chain[1].as_ref(), certificate);
        current.key.read().unwrap().keys_match().unwrap();
    }

    #[test]
    fn the_authoritys_file_is_pem() {
        let (certificate, key) = new_authority(DEPLOYMENT, SystemClock.now()).unwrap();
        let pem = load(&certificate, &key).pem();
        let read = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        assert_eq!(read.as_ref(), certificate);
    }
}
