//! Keys. Secret ones are wiped when dropped and cannot be printed; public ones are plain values.
//!
//! | pair | algorithm | for |
//! | --- | --- | --- |
//! | [`SigningKey`], [`VerifyingKey`] | Ed25519 (RFC 8032) | root key, row keys, identity keys of devices |
//! | [`SealingKey`], [`SealingPublic`] | X25519 (RFC 7748) | a device: passwords are sealed to it |
//! | [`AuthorityKey`], [`AuthorityPublic`] | X25519 (RFC 7748) | the deployment: only it can seal |

use std::fmt;

use ed25519_dalek::{Signature, Signer};
use hpke::kem::{Kem, X25519HkdfSha256};
use hpke::{Deserializable, HpkeError, Serializable};
use minicbor::{Decode, Encode};
use opencpm_domain::{hex_to_bytes, to_hex};
use rand_core::CryptoRng;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// Names a public key: the first 8 bytes of its SHA-256. Finds a key in a list, proves nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct KeyId(#[cbor(n(0), with = "minicbor::bytes")] [u8; 8]);

impl KeyId {
    /// The id with these bytes.
    pub const fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }

    /// The id that is shown as these sixteen hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        hex_to_bytes(text)?.try_into().ok().map(Self)
    }

    /// The bytes of the id.
    pub const fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }

    fn of(public_key: &[u8; 32]) -> Self {
        let [a, b, c, d, e, f, g, h, ..] = <[u8; 32]>::from(Sha256::digest(public_key));
        Self([a, b, c, d, e, f, g, h])
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_hex(&self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

macro_rules! public_key {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
        #[cbor(transparent)]
        pub struct $name(#[cbor(n(0), with = "minicbor::bytes")] [u8; 32]);

        impl $name {
            /// The key with these bytes. That they are a usable key shows when it is used.
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// The bytes of the key.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }

            /// The short name of the key.
            pub fn key_id(&self) -> KeyId {
                KeyId::of(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), to_hex(&self.0))
            }
        }
    };
}

public_key! {
    /// Checks what a [`SigningKey`] signed.
    VerifyingKey
}

public_key! {
    /// To this key of a device, passwords are sealed.
    SealingPublic
}

public_key! {
    /// Shows a device that a job was sealed by its deployment.
    AuthorityPublic
}

/// An Ed25519 secret key: the root key, a row key or a device's identity key.
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// A new key.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *seed);
        Self::from_bytes(&seed)
    }

    /// The key that [`Self::to_bytes`] gave.
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(bytes))
    }

    /// The secret, for storing it protected and for nothing else.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// The public half.
    pub fn public(&self) -> VerifyingKey {
        VerifyingKey(self.0.verifying_key().to_bytes())
    }

    /// Signs bytes that already name their purpose; see [`crate::sign`].
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

impl VerifyingKey {
    /// Strict verification: one key, one message, one signature; no small-order keys.
    pub fn verify(
        &self,
        message: &[u8],
        signature: &[u8; 64],
    ) -> Result<(), ed25519_dalek::SignatureError> {
        let key = ed25519_dalek::VerifyingKey::from_bytes(&self.0)?;
        key.verify_strict(message, &Signature::from_bytes(signature))
    }
}

/// The library takes these bytes for no X25519 secret key. RFC 7748 knows no such bytes.
#[derive(Debug, thiserror::Error)]
#[error("not an X25519 secret key")]
pub struct InvalidKey(#[source] HpkeError);

type KemSecret = <X25519HkdfSha256 as Kem>::PrivateKey;
type KemPublic = <X25519HkdfSha256 as Kem>::PublicKey;

macro_rules! x25519_key {
    ($(#[$doc:meta])* $name:ident, $public:ident) => {
        $(#[$doc])*
        pub struct $name(KemSecret);

        impl $name {
            /// A new key.
            pub fn generate(rng: &mut impl CryptoRng) -> Self {
                Self(X25519HkdfSha256::gen_keypair_with_rng(rng).0)
            }

            /// The key that [`Self::to_bytes`] gave.
            pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, InvalidKey> {
                KemSecret::from_bytes(bytes).map(Self).map_err(InvalidKey)
            }

            /// The secret, for storing it protected and for nothing else.
            pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
                let mut bytes = Zeroizing::new([0; 32]);
                self.0.write_exact(&mut *bytes);
                bytes
            }

            /// The public half.
            pub fn public(&self) -> $public {
                $public(X25519HkdfSha256::sk_to_pk(&self.0).to_bytes().into())
            }

            pub(crate) fn kem(&self) -> &KemSecret {
                &self.0
            }
        }

        impl $public {
            pub(crate) fn kem(&self) -> Result<KemPublic, HpkeError> {
                KemPublic::from_bytes(&self.0)
            }
        }
    };
}

x25519_key! {
    /// A device's secret key: opens what was sealed to it.
    SealingKey, SealingPublic
}

x25519_key! {
    /// The deployment's secret key: seals jobs. Only the API role holds it.
    AuthorityKey, AuthorityPublic
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes<const N: usize>(hex: &str) -> [u8; N] {
        hex_to_bytes(hex).unwrap().try_into().unwrap()
    }

    /// RFC 8032, section 7.1, test 1: the empty message.
    #[test]
    fn signatures_are_those_of_the_rfc() {
        let key = SigningKey::from_bytes(&bytes(
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        ));
        let public = bytes("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
        let signature = bytes(
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e3970\
             1cf9b46bd25bf5f0595bbe24655141438e7a100b",
        );
        assert_eq!(key.public(), VerifyingKey::from_bytes(public));
        assert_eq!(key.sign(b""), signature);
        assert!(key.public().verify(b"", &signature).is_ok());
    }

    #[test]
    fn a_key_id_is_the_head_of_the_digest() {
        let id = VerifyingKey::from_bytes([0; 32]).key_id();
        assert_eq!(id.to_string(), "66687aadf862bd77");
        assert_eq!(KeyId::from_bytes(*id.as_bytes()), id);
        assert_eq!(KeyId::parse("66687aadf862bd77"), Some(id));
        assert_eq!(KeyId::parse("66687aadf862bd"), None);
    }

    #[test]
    fn a_stored_key_has_the_same_public_half() {
        let seed = [7; 32];
        let signing = SigningKey::from_bytes(&seed);
        assert_eq!(SigningKey::from_bytes(&signing.to_bytes()).public(), signing.public());
        let sealing = SealingKey::from_bytes(&seed).unwrap();
        let again = SealingKey::from_bytes(&sealing.to_bytes()).unwrap();
        assert_eq!(again.public(), sealing.public());
        assert_ne!(sealing.public().as_bytes(), &seed);
    }

    #[test]
    fn public_keys_print_as_hex_and_travel_as_bytes() {
        let key = SealingPublic::from_bytes([0xab; 32]);
        assert_eq!(format!("{key:?}"), format!("SealingPublic({})", "ab".repeat(32)));
        let bytes = minicbor::to_vec(key).unwrap();
        assert_eq!(bytes.len(), 34);
        assert_eq!(minicbor::decode::<SealingPublic>(&bytes).unwrap(), key);
        assert!(minicbor::decode::<SealingPublic>(&bytes[..33]).is_err());
    }
}
