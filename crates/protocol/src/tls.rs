//! TLS with the agents' listener: the handshake first, the judgement of the chain afterwards.
//!
//! The handshake proves that the peer holds the key of the certificate that it shows, whoever
//! issued it. What decides is [`judge`], with the trust statement that the peer sends as its first
//! frame: so a machine that slept through a change of certificates comes back. Until then nothing
//! but the WebSocket's upgrade request is sent.

use std::sync::Arc;
use std::time::Duration;

use crate::statement::TrustStatement;
use opencpm_domain::Timestamp;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, VerifierBuilderError, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, InvalidDnsNameError, ServerName, UnixTime};
use rustls::{
    ClientConfig, DigitallySignedStruct, Error, PeerIncompatible, RootCertStore, SignatureScheme,
    version,
};

/// Why a connection cannot begin, or its server is not trusted.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The host is neither a name nor an address that a certificate could be for.
    #[error("no certificate can be for this host")]
    Host(#[source] InvalidDnsNameError),
    /// TLS could not be set up.
    #[error("TLS cannot be set up")]
    Setup(#[source] Error),
    /// The peer showed no certificate.
    #[error("the server showed no certificate")]
    NoCertificate,
    /// An authority in the statement is not a certificate.
    #[error("an authority of the trust statement is not a certificate")]
    Authority(#[source] Error),
    /// The statement lists no authority.
    #[error("the trust statement lists no usable TLS authority")]
    NoAuthority(#[source] VerifierBuilderError),
    /// Not issued by an authority of the statement, not for this host, or not at this time.
    #[error("the server's certificate is not trusted under the deployment's statement")]
    NotTrusted(#[source] Error),
}

/// For a client that completes the handshake with any chain.
pub fn client_config() -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&version::TLS13])
        .map_err(TlsError::Setup)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Unjudged(provider)))
        .with_no_client_auth();
    // One path for every connection, and it would save little: docs/decisions/0067.
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// Whether the chain is good for `host` under the statement, at the client's time.
pub fn judge(
    chain: &[CertificateDer<'_>],
    host: &str,
    statement: &TrustStatement,
    time: Timestamp,
) -> Result<(), TlsError> {
    let (leaf, intermediates) = chain.split_first().ok_or(TlsError::NoCertificate)?;
    let mut roots = RootCertStore::empty();
    for authority in &statement.tls_authorities {
        roots.add(CertificateDer::from(&authority.0[..])).map_err(TlsError::Authority)?;
    }
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(TlsError::NoAuthority)?;
    let time = UnixTime::since_unix_epoch(Duration::from_secs(time.as_secs()));
    verifier
        .verify_server_cert(leaf, intermediates, &server_name(host)?, &[], time)
        .map(|_| ())
        .map_err(TlsError::NotTrusted)
}

/// The host as a certificate could name it.
pub fn server_name(host: &str) -> Result<ServerName<'static>, TlsError> {
    ServerName::try_from(host.to_owned()).map_err(TlsError::Host)
}

/// Leaves the chain to [`judge`], and checks that the peer holds the certificate's key.
#[derive(Debug)]
struct Unjudged(Arc<CryptoProvider>);

impl ServerCertVerifier for Unjudged {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statement::TlsAuthority;
    use opencpm_domain::{DeploymentId, Generation, Span};
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};

    struct Authority {
        der: Vec<u8>,
        issuer: Issuer<'static, KeyPair>,
    }

    fn authority() -> Authority {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let der = params.self_signed(&key).unwrap().der().to_vec();
        Authority { der, issuer: Issuer::new(params, key) }
    }

    fn leaf(authority: &Authority, name: &str) -> Vec<CertificateDer<'static>> {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(2026, 1, 1);
        params.not_after = date_time_ymd(2027, 1, 1);
        vec![params.signed_by(&key, &authority.issuer).unwrap().der().clone()]
    }

    fn statement(authorities: &[&Authority]) -> TrustStatement {
        let der = |authority: &&Authority| TlsAuthority(authority.der.clone());
        TrustStatement {
            deployment: DeploymentId::from_bytes([1; 16]),
            generation: Generation::FIRST,
            authorities: Vec::new(),
            row_keys: Vec::new(),
            tls_authorities: authorities.iter().map(der).collect(),
            longest_deadline: Span::from_secs(120),
            valid_from: Timestamp::from_secs(0),
            valid_until: Timestamp::from_secs(u64::from(u32::MAX)),
        }
    }

    /// 2026-06-01.
    const IN_TIME: Timestamp = Timestamp::from_secs(1_780_272_000);

    #[test]
    fn a_listed_authority_is_trusted_for_its_host_at_its_time_and_no_other() {
        let (ours, other) = (authority(), authority());
        let chain = leaf(&ours, "cpm.example");
        let good = statement(&[&other, &ours]);
        judge(&chain, "cpm.example", &good, IN_TIME).unwrap();
        let late = Timestamp::from_secs(1_900_000_000);
        for refused in [
            judge(&chain, "other.example", &good, IN_TIME),
            judge(&chain, "cpm.example", &statement(&[&other]), IN_TIME),
            judge(&chain, "cpm.example", &good, late),
            judge(&chain, "cpm.example", &good, Timestamp::from_secs(5)),
        ] {
            assert!(matches!(refused, Err(TlsError::NotTrusted(_))), "{refused:?}");
        }
    }

    #[test]
    fn an_address_can_be_the_host() {
        let ours = authority();
        let chain = leaf(&ours, "127.0.0.1");
        judge(&chain, "127.0.0.1", &statement(&[&ours]), IN_TIME).unwrap();
    }

    #[test]
    fn nothing_to_judge_is_an_error() {
        let ours = authority();
        let empty = judge(&[], "h", &statement(&[&ours]), IN_TIME);
        assert!(matches!(empty, Err(TlsError::NoCertificate)));
        let chain = leaf(&ours, "h");
        let none = judge(&chain, "h", &statement(&[]), IN_TIME);
        assert!(matches!(none, Err(TlsError::NoAuthority(_))));
    }
}
