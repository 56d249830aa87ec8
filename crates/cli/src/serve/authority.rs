//! The deployment's TLS authority: issues certificates for the listeners of this process and for
//! nodes without the API role.

use std::sync::Arc;

use jiff::tz::Offset;
use opencpm_domain::{DeploymentId, Span, Timestamp};
use opencpm_operations::port::{Clock, IssueError, Issued, Issuer};
use opencpm_protocol::node::{Certificate, TlsPublic};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SignatureAlgorithm,
    date_time_ymd,
};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::sign::CertifiedKey;
use zeroize::Zeroizing;

/// Clients keep this file; when it must change, the trust statement leads the agents over.
const AUTHORITY_VALIDITY: Span = days(20 * 365);
const CERTIFICATE_VALIDITY: Span = days(90);
/// Certificates are good a little earlier, for clocks that are behind.
const LEAD: Span = days(1);
/// Long before the end.
const RENEWAL: Span = days(30);

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

/// Issues certificates.
pub(crate) struct Authority {
    issuer: rcgen::Issuer<'static, KeyPair>,
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
        let issuer = rcgen::Issuer::new(authority_params(deployment)?, key);
        Ok(Self { issuer, certificate: certificate.into(), clock })
    }

    /// Its certificate in PEM, for clients.
    pub(super) fn pem(&self) -> String {
        pem(&self.certificate)
    }

    /// A certificate of this process for these names, valid from now on, and when to make the next
    /// one.
    pub(super) fn own(&self, names: &[String]) -> Result<(CertifiedKey, Timestamp), TlsError> {
        let key = KeyPair::generate()?;
        let (chain, renew) = self.certify(&key, names)?;
        Ok((certified_key(chain, &key.serialize_der().into())?, renew))
    }

    fn certify(
        &self,
        key: &impl PublicKeyData,
        names: &[String],
    ) -> Result<(Vec<CertificateDer<'static>>, Timestamp), TlsError> {
        let now = self.clock.now();
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name = named(names.first().map_or("opencpm", String::as_str));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        set_validity(&mut params, now, CERTIFICATE_VALIDITY);
        let certificate = params.signed_by(key, &self.issuer)?;
        Ok((vec![certificate.der().clone(), self.certificate.clone()], now + RENEWAL))
    }
}

impl Issuer for Authority {
    fn issue(&self, key: &TlsPublic, names: &[String]) -> Result<Issued, IssueError> {
        let certified = self.certify(&NodeKey(key), names);
        let (chain, renew) = certified.map_err(|error| IssueError(Box::new(error)))?;
        let chain = chain.into_iter().map(|der| Certificate(der.to_vec())).collect();
        Ok(Issued { chain, renew })
    }
}

/// A node's key, as the certificate library asks for it.
struct NodeKey<'a>(&'a TlsPublic);

impl PublicKeyData for NodeKey<'_> {
    fn der_bytes(&self) -> &[u8] {
        &self.0.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

/// A chain and its key (PKCS #8), ready to be shown. Refuses a key that is not the chain's.
pub(super) fn certified_key(
    chain: Vec<CertificateDer<'static>>,
    key: &PrivatePkcs8KeyDer<'_>,
) -> Result<CertifiedKey, TlsError> {
    let key = PrivateKeyDer::from(key.clone_key());
    let certified = CertifiedKey::new(chain, ring::sign::any_supported_type(&key)?);
    certified.keys_match()?;
    Ok(certified)
}

/// A certificate as a file holds it.
pub(super) fn pem(certificate: &[u8]) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(certificate);
    let lines = text.as_bytes().chunks(64).map(String::from_utf8_lossy);
    let lines = lines.collect::<Vec<_>>().join("\n");
    format!("-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n")
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
        let (own, _) = load(&certificate, &key).own(&names).unwrap();
        assert_eq!(own.cert.len(), 2);
        assert_eq!(own.cert[1].as_ref(), certificate);
        own.keys_match().unwrap();
    }

    #[test]
    fn a_nodes_certificate_is_for_the_nodes_own_key_and_no_other() {
        let (certificate, key) = new_authority(DEPLOYMENT, SystemClock.now()).unwrap();
        let [node, other] = [(); 2].map(|()| KeyPair::generate().unwrap());
        let public = TlsPublic(node.public_key_raw().try_into().unwrap());
        let names = ["gw.example".to_owned()];
        let issued = load(&certificate, &key).issue(&public, &names).unwrap();
        let chain = || issued.chain.iter().map(|der| der.0.clone().into()).collect();
        certified_key(chain(), &node.serialize_der().into()).unwrap();
        assert!(certified_key(chain(), &other.serialize_der().into()).is_err());
    }

    #[test]
    fn the_authoritys_file_is_pem() {
        let (certificate, key) = new_authority(DEPLOYMENT, SystemClock.now()).unwrap();
        let pem = load(&certificate, &key).pem();
        let read = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        assert_eq!(read.as_ref(), certificate);
    }
}
