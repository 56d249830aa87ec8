//! A deployment's keys and certificates, and the jobs that it seals.

use opencpm_domain::{
    AppId, DeploymentId, Generation, InstanceId, JobId, Password, PasswordPolicy, Sequence, Span,
    Timestamp,
};
use opencpm_protocol::key::{AuthorityKey, SealingPublic, SigningKey};
use opencpm_protocol::message::JobFrame;
use opencpm_protocol::seal::{SealContext, Verb, seal};
use opencpm_protocol::sign::Signed;
use opencpm_protocol::statement::{TlsAuthority, TrustStatement};
use opencpm_protocol::token::EnrolmentToken;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::Arc;

use crate::machine::rng;

/// The device that every enrolment makes.
pub(crate) fn instance() -> InstanceId {
    InstanceId::parse("cpm-34xs43xs").unwrap()
}

pub(crate) struct Deployment {
    pub(crate) id: DeploymentId,
    pub(crate) root: SigningKey,
    pub(crate) authority: AuthorityKey,
    pub(crate) tls: Tls,
}

/// An authority and the listener's certificate under it.
pub(crate) struct Tls {
    pub(crate) authority: Vec<u8>,
    pub(crate) config: Arc<rustls::ServerConfig>,
}

impl Tls {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = params.self_signed(&key).unwrap().der().to_vec();
        let issuer = Issuer::new(params, key);
        let leaf = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        let chain: Vec<CertificateDer<'static>> =
            vec![params.signed_by(&leaf, &issuer).unwrap().der().clone()];
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, PrivateKeyDer::Pkcs8(leaf.serialize_der().into()))
            .unwrap();
        Self { authority, config: Arc::new(config) }
    }
}

impl Deployment {
    pub(crate) fn new() -> Self {
        Self {
            id: DeploymentId::from_bytes([9; 16]),
            root: SigningKey::generate(&mut rng()),
            authority: AuthorityKey::generate(&mut rng()),
            tls: Tls::new(),
        }
    }

    pub(crate) fn statement(&self, generation: u32, now: Timestamp) -> TrustStatement {
        TrustStatement {
            deployment: self.id,
            generation: Generation::new(generation).unwrap(),
            authorities: vec![self.authority.public()],
            row_keys: Vec::new(),
            tls_authorities: vec![TlsAuthority(self.tls.authority.clone())],
            longest_deadline: Span::from_secs(120),
            valid_from: now - Span::from_secs(60),
            valid_until: now + Span::from_secs(86_400),
        }
    }

    pub(crate) fn signed(&self, statement: &TrustStatement) -> Signed<TrustStatement> {
        Signed::sign(statement, &self.root)
    }

    pub(crate) fn token(&self, port: u16) -> EnrolmentToken {
        let addresses = vec![format!("127.0.0.1:{port}")];
        EnrolmentToken::generate(&mut rng(), self.root.public(), self.id, addresses, None).unwrap()
    }

    /// A job that sets `password`, issued at `now` and good for a minute.
    pub(crate) fn job(
        &self,
        number: u8,
        password: &str,
        sealing: (Generation, SealingPublic, Generation),
        now: Timestamp,
    ) -> JobFrame {
        let context = SealContext {
            deployment: self.id,
            account: AppId::new(1).unwrap(),
            instance: instance(),
            identity_generation: sealing.2,
            sealing_generation: sealing.0,
            verb: Verb::SetRootPassword,
            job: JobId::from_bytes([number; 16]),
            sequence: Sequence::new(number.into()),
            issued_at: now,
            not_after: now + Span::from_secs(60),
        };
        let password = Password::new(password.into(), PasswordPolicy::Seed).unwrap();
        let sealed = seal(&password, &context, &sealing.1, &self.authority, &mut rng()).unwrap();
        JobFrame {
            job: context.job,
            sequence: context.sequence,
            identity_generation: context.identity_generation,
            sealing_generation: context.sealing_generation,
            verb: Verb::SetRootPassword.number(),
            issued_at: context.issued_at,
            not_after: context.not_after,
            authority: self.authority.public().key_id(),
            sealed,
        }
    }
}
