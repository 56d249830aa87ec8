//! Which device the agent is.

use std::fmt;

use minicbor::decode::Error as DecodeError;
use minicbor::encode::{Error as EncodeError, Write};
use minicbor::{Decode, Decoder, Encode, Encoder};
use opencpm_domain::{AppId, DeploymentId, Generation, InstanceId};
use opencpm_protocol::key::{SigningKey, VerifyingKey};
use zeroize::Zeroizing;

use super::SealingKeys;

/// The secret half of a key, as it is stored. Wiped when dropped, never printed.
#[derive(Clone)]
pub struct Seed(Zeroizing<[u8; 32]>);

impl Seed {
    /// Wraps a key's bytes.
    pub fn new(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }

    /// The key's bytes.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(redacted)")
    }
}

impl<C> Encode<C> for Seed {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
        e.bytes(&*self.0)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Seed {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, DecodeError> {
        let bytes: &[u8; 32] =
            d.bytes()?.try_into().map_err(|_| DecodeError::message("a key has 32 bytes"))?;
        Ok(Self(Zeroizing::new(*bytes)))
    }
}

/// An enrolled device.
#[derive(Debug, Encode, Decode)]
#[cbor(map)]
pub struct Identity {
    /// The identity key.
    #[n(0)]
    pub key: Seed,
    /// The deployment's root key, from the token.
    #[n(1)]
    pub root: VerifyingKey,
    /// Which installation.
    #[cbor(n(2), with = "opencpm_protocol::wire")]
    pub deployment: DeploymentId,
    /// Which device.
    #[cbor(n(3), with = "opencpm_protocol::wire")]
    pub instance: InstanceId,
    /// Whose device it is.
    #[cbor(n(4), with = "opencpm_protocol::wire")]
    pub account: AppId,
    /// The identity key's generation.
    #[cbor(n(5), with = "opencpm_protocol::wire")]
    pub generation: Generation,
    /// `host:port` of the gateways, as the server named them last.
    #[n(6)]
    pub gateways: Vec<String>,
    /// The machine that this state belongs to, see [`crate::machine::Machine::binding`].
    #[n(7)]
    pub machine: String,
    /// `host:port` where it enrolled; tried when no gateway can be reached.
    #[cbor(n(8), default)]
    pub addresses: Vec<String>,
}

impl Identity {
    /// The identity key, to sign with.
    pub fn signing_key(&self) -> SigningKey {
        SigningKey::from_bytes(self.key.expose())
    }
}

/// An enrolment that may or may not have reached the server. Kept until the answer is stored, so
/// that asking again enrols the same device and not a second one.
#[derive(Debug, Encode, Decode)]
#[cbor(map)]
pub struct Enrolling {
    /// The identity key that was made for it.
    #[n(0)]
    pub key: Seed,
    /// Its first sealing key.
    #[n(1)]
    pub sealing: SealingKeys,
    /// Where it enrols.
    #[cbor(n(2), with = "opencpm_protocol::wire")]
    pub deployment: DeploymentId,
    /// The machine for which it was made.
    #[n(3)]
    pub machine: String,
    /// The device that the token is for. None for a new one.
    #[n(4)]
    pub instance: Option<String>,
}

impl Enrolling {
    /// The identity key, to sign with.
    pub fn signing_key(&self) -> SigningKey {
        SigningKey::from_bytes(self.key.expose())
    }
}
