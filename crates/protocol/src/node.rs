//! Nodes without the API role: the token with which one joins, and what it asks for. Joining and
//! every renewal is one conversation on the agents' listener of an API node.

use minicbor::{Decode, Encode};
use opencpm_domain::{DeploymentId, Timestamp};
use rand_core::CryptoRng;
use secrecy::SecretString;
use zeroize::Zeroizing;

use crate::key::VerifyingKey;
use crate::sign::{Signable, Signed};
use crate::token::{EnrolmentToken, Kind, TokenError};

const KIND: Kind = Kind { name: "opencpm-node", prefix: "opencpm-node1." };

/// Lets one or more processes join as nodes, and tells them whom to trust. Says nothing of the
/// names that a node's certificate gets: these stand in the store, under a MAC.
#[derive(Debug)]
pub struct NodeToken(EnrolmentToken);

impl NodeToken {
    /// A new token with a random secret. The addresses are those of API nodes.
    pub fn generate(
        rng: &mut impl CryptoRng,
        root: VerifyingKey,
        deployment: DeploymentId,
        addresses: Vec<String>,
    ) -> Result<Self, TokenError> {
        EnrolmentToken::generate(rng, root, deployment, addresses, None).map(Self)
    }

    /// Reads the copied text.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        EnrolmentToken::parse_as(&KIND, text).map(Self)
    }

    /// The text to copy.
    pub fn to_secret_text(&self) -> SecretString {
        self.0.to_secret_text_as(&KIND)
    }

    /// What the node shows to join.
    pub fn secret(&self) -> &[u8; 32] {
        self.0.secret()
    }

    /// What the store keeps: [`secret_hash`](crate::token::secret_hash) of the secret.
    pub fn secret_hash(&self) -> [u8; 32] {
        self.0.secret_hash()
    }

    /// The root key that the node pins.
    pub fn root(&self) -> VerifyingKey {
        self.0.root
    }

    /// Which installation.
    pub fn deployment(&self) -> DeploymentId {
        self.0.deployment
    }

    /// `host:port` of the API nodes' listeners, in the order to try them; never empty.
    pub fn addresses(&self) -> &[String] {
        self.0.addresses()
    }
}

/// The public half of a node's TLS key: a point of P-256, not compressed (SEC 1, section 2.3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct TlsPublic(#[cbor(n(0), with = "minicbor::bytes")] pub [u8; 65]);

/// Asks for a certificate: with a token's secret to join, without one to renew.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Certify {
    /// The token's secret.
    #[cbor(n(0), with = "optional_secret", has_nil)]
    pub secret: Option<Zeroizing<[u8; 32]>>,
    /// Signed by the node key that it names.
    #[n(1)]
    pub request: Signed<CertificateRequest>,
}

impl std::fmt::Debug for Certify {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certify").field("request", &self.request).finish_non_exhaustive()
    }
}

/// What a node's key signs. It asks for no names: the token that the node joined with decides.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct CertificateRequest {
    /// From the challenge.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub nonce: [u8; 32],
    /// Which installation.
    #[cbor(n(1), with = "crate::wire")]
    pub deployment: DeploymentId,
    /// The node's key.
    #[n(2)]
    pub node: VerifyingKey,
    /// The key that the certificate is to be for.
    #[n(3)]
    pub tls: TlsPublic,
    /// The machine's name, for people.
    #[n(4)]
    pub hostname: String,
    /// The node's protocol version.
    #[n(5)]
    pub version: u16,
}

impl Signable for CertificateRequest {
    const CONTEXT: &'static str = "opencpm node certificate v1";
}

/// The answer: the node may show this certificate to agents.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Certified {
    /// The certificate, then its authority's.
    #[n(0)]
    pub chain: Vec<Certificate>,
    /// When to ask for the next one, long before this one's end.
    #[cbor(n(1), with = "crate::wire")]
    pub renew: Timestamp,
    /// `host:port` of the API nodes to ask then.
    #[n(2)]
    pub addresses: Vec<String>,
}

/// A certificate in DER.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct Certificate(#[cbor(n(0), with = "minicbor::bytes")] pub Vec<u8>);

/// A secret that may be absent.
mod optional_secret {
    use minicbor::bytes::ByteArray;
    use minicbor::decode::{Decoder, Error as DecodeError};
    use minicbor::encode::{Encoder, Error as EncodeError, Write};
    use zeroize::Zeroizing;

    type Secret = Option<Zeroizing<[u8; 32]>>;

    pub(super) fn encode<C, W: Write>(
        value: &Secret,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), EncodeError<W::Error>> {
        match value {
            Some(secret) => e.bytes(secret.as_slice())?.ok(),
            None => e.null()?.ok(),
        }
    }

    pub(super) fn decode<C>(d: &mut Decoder<'_>, _: &mut C) -> Result<Secret, DecodeError> {
        let bytes: Option<ByteArray<32>> = d.decode()?;
        Ok(bytes.map(|bytes| Zeroizing::new(bytes.into())))
    }

    pub(super) fn nil() -> Option<Secret> {
        Some(None)
    }

    pub(super) fn is_nil(value: &Secret) -> bool {
        value.is_none()
    }
}
