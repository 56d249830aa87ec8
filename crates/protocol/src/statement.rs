//! Trust statements: what the root key says about the deployment (design section 3).

use minicbor::{Decode, Encode};
use opencpm_domain::{DeploymentId, Generation, Span, Timestamp};

use crate::key::{AuthorityPublic, KeyId, VerifyingKey};
use crate::sign::Signable;

/// Signed by the root key; the first frame of every connection. An agent keeps the newest.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct TrustStatement {
    /// Which installation this is about.
    #[cbor(n(0), with = "crate::wire")]
    pub deployment: DeploymentId,
    /// Grows with every new statement; an agent takes none below its highest.
    #[cbor(n(1), with = "crate::wire")]
    pub generation: Generation,
    /// Keys that may seal jobs.
    #[n(2)]
    pub authorities: Vec<AuthorityPublic>,
    /// Keys that may sign rows.
    #[n(3)]
    pub row_keys: Vec<VerifyingKey>,
    /// Certificates (DER) of the authorities behind the agents' listener.
    #[n(4)]
    pub tls_authorities: Vec<TlsAuthority>,
    /// The longest time a job may stay open; an agent keeps old sealing keys at least so long.
    #[cbor(n(5), with = "crate::wire")]
    pub longest_deadline: Span,
    /// Not to be believed before.
    #[cbor(n(6), with = "crate::wire")]
    pub valid_from: Timestamp,
    /// New jobs are refused after this; the connection is not.
    #[cbor(n(7), with = "crate::wire")]
    pub valid_until: Timestamp,
}

/// A certificate in DER.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct TlsAuthority(#[cbor(n(0), with = "minicbor::bytes")] pub Vec<u8>);

impl Signable for TrustStatement {
    const CONTEXT: &'static str = "opencpm statement v1";
}

impl TrustStatement {
    /// The authority key with this id, when the statement lists it.
    pub fn authority(&self, id: KeyId) -> Option<&AuthorityPublic> {
        self.authorities.iter().find(|key| key.key_id() == id)
    }
}
