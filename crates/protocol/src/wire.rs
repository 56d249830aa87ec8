//! How the domain's values look in CBOR, on the wire and in the agent's state. Used by
//! `#[cbor(with = "opencpm_protocol::wire")]`.

use minicbor::decode::{Decoder, Error as DecodeError};
use minicbor::encode::{Encoder, Error as EncodeError, Write};
use opencpm_domain::{
    AppId, DeploymentId, Generation, InstanceId, JobId, Sequence, Span, Timestamp,
};
use zeroize::Zeroizing;

/// A value of the domain that has a form on the wire.
pub trait Wire: Sized {
    /// Writes the value.
    fn write<W: Write>(&self, e: &mut Encoder<W>) -> Result<(), EncodeError<W::Error>>;
    /// Reads what [`Self::write`] wrote; any other bytes are an error.
    fn read(d: &mut Decoder<'_>) -> Result<Self, DecodeError>;
}

/// Called by the derived code of a field.
pub fn encode<T: Wire, C, W: Write>(
    value: &T,
    e: &mut Encoder<W>,
    _: &mut C,
) -> Result<(), EncodeError<W::Error>> {
    value.write(e)
}

/// Called by the derived code of a field.
pub fn decode<T: Wire, C>(d: &mut Decoder<'_>, _: &mut C) -> Result<T, DecodeError> {
    T::read(d)
}

/// A span, an instant, a sequence: any number.
macro_rules! number {
    ($($name:ident: $make:path, $take:path;)*) => {$(
        impl Wire for $name {
            fn write<W: Write>(&self, e: &mut Encoder<W>) -> Result<(), EncodeError<W::Error>> {
                e.u64($take(*self))?.ok()
            }

            fn read(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
                d.u64().map($make)
            }
        }
    )*};
}

number! {
    Timestamp: Timestamp::from_micros, Timestamp::as_micros;
    Span: Span::from_micros, Span::as_micros;
    Sequence: Sequence::new, Sequence::get;
}

macro_rules! bytes {
    ($($name:ident),*) => {$(
        impl Wire for $name {
            fn write<W: Write>(&self, e: &mut Encoder<W>) -> Result<(), EncodeError<W::Error>> {
                e.bytes(self.as_bytes())?.ok()
            }

            fn read(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
                let bytes = d.bytes()?.try_into();
                bytes.map($name::from_bytes).map_err(|_| DecodeError::message("not 16 bytes"))
            }
        }
    )*};
}

bytes!(DeploymentId, JobId);

/// A secret: wiped when dropped. The bytes that it was read from, or written to, are not.
impl Wire for Zeroizing<[u8; 32]> {
    fn write<W: Write>(&self, e: &mut Encoder<W>) -> Result<(), EncodeError<W::Error>> {
        e.bytes(self.as_slice())?.ok()
    }

    fn read(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let bytes: &[u8; 32] =
            d.bytes()?.try_into().map_err(|_| DecodeError::message("not 32 bytes"))?;
        Ok(Self::new(*bytes))
    }
}

impl Wire for AppId {
    fn write<W: Write>(&self, e: &mut Encoder<W>) -> Result<(), EncodeError<W::Error>> {
        e.u64(self.get())?.ok()
    }

    fn read(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        AppId::new(d.u64()?).map_err(DecodeError::custom)
    }
}

impl Wire for Generation {
    fn write<W: Write>(&self, e: &mut Encoder<W>) -> Result<(), EncodeError<W::Error>> {
        e.u32(self.get())?.ok()
    }

    fn read(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Generation::new(d.u32()?).map_err(DecodeError::custom)
    }
}

impl Wire for InstanceId {
    fn write<W: Write>(&self, e: &mut Encoder<W>) -> Result<(), EncodeError<W::Error>> {
        e.str(self.as_str())?.ok()
    }

    fn read(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        InstanceId::parse(d.str()?).map_err(DecodeError::custom)
    }
}
