//! Signed values: the bytes as they were signed, and the signature over them.
//!
//! The bytes are kept, not the value, so that fields of a newer version survive in what an older
//! one stores and passes on, and the signature stays good.

use std::fmt;
use std::marker::PhantomData;

use minicbor::bytes::ByteArray;
use minicbor::decode::Error as DecodeError;
use minicbor::encode::{Error as EncodeError, Write};
use minicbor::{Decode, Decoder, Encode, Encoder};

use crate::key::{SigningKey, VerifyingKey};

/// A value that can be signed.
///
/// The signature covers `CONTEXT`, a zero byte and the encoded value, so a signature made for one
/// purpose is none for another.
pub trait Signable: Encode<()> + for<'b> Decode<'b, ()> {
    /// What the signature is for, such as `opencpm report v1`. Unique, without a zero byte.
    const CONTEXT: &'static str;
}

/// A signed `T`. On the wire a CBOR array of two byte strings: the encoded value, the signature.
pub struct Signed<T> {
    payload: Vec<u8>,
    signature: [u8; 64],
    kind: PhantomData<fn() -> T>,
}

/// Why a signed value is not believed.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    /// Another key, other bytes, another purpose, or a key that is no key.
    #[error("the signature does not match")]
    Mismatch(#[source] ed25519_dalek::SignatureError),
    /// Signed well, but not what was expected.
    #[error("the signed bytes cannot be read")]
    Payload(#[source] DecodeError),
}

impl<T: Signable> Signed<T> {
    /// Encodes and signs.
    pub fn sign(value: &T, key: &SigningKey) -> Self {
        // Writing to memory cannot fail, and no value of ours refuses to be encoded. If one did,
        // nobody could read the empty payload.
        let payload = minicbor::to_vec(value).unwrap_or_default();
        let signature = key.sign(&message::<T>(&payload));
        Self { payload, signature, kind: PhantomData }
    }

    /// The value, if `key` signed it for this purpose.
    pub fn verify(&self, key: &VerifyingKey) -> Result<T, SignatureError> {
        let signed = message::<T>(&self.payload);
        key.verify(&signed, &self.signature).map_err(SignatureError::Mismatch)?;
        minicbor::decode(&self.payload).map_err(SignatureError::Payload)
    }

    /// The value as the sender claims it, without looking at the signature: to find the key that
    /// it must be verified with, never to act on.
    pub fn read_unverified(&self) -> Result<T, DecodeError> {
        minicbor::decode(&self.payload)
    }
}

impl<T> Signed<T> {
    /// The bytes for storing it.
    pub fn to_bytes(&self) -> Vec<u8> {
        // As in `sign`: cannot fail, and nothing reads an empty result.
        minicbor::to_vec(self).unwrap_or_default()
    }

    /// The signed value with the bytes that [`Self::to_bytes`] gave. Verifies nothing.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        minicbor::decode(bytes)
    }
}

fn message<T: Signable>(payload: &[u8]) -> Vec<u8> {
    [T::CONTEXT.as_bytes(), &[0], payload].concat()
}

impl<T, C> Encode<C> for Signed<T> {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
        e.array(2)?.bytes(&self.payload)?.bytes(&self.signature)?.ok()
    }
}

impl<'b, T, C> Decode<'b, C> for Signed<T> {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, DecodeError> {
        if d.array()? != Some(2) {
            return Err(DecodeError::message("not a payload and a signature"));
        }
        let payload = d.bytes()?.to_vec();
        let signature = d.decode::<ByteArray<64>>()?.into();
        Ok(Self { payload, signature, kind: PhantomData })
    }
}

// Written out, because derived ones would ask the same of `T`, which is not even there.
impl<T> Clone for Signed<T> {
    fn clone(&self) -> Self {
        Self { payload: self.payload.clone(), signature: self.signature, kind: PhantomData }
    }
}

impl<T> PartialEq for Signed<T> {
    fn eq(&self, other: &Self) -> bool {
        self.payload == other.payload && self.signature == other.signature
    }
}

impl<T> Eq for Signed<T> {}

impl<T> fmt::Debug for Signed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signed({} bytes)", self.payload.len())
    }
}
