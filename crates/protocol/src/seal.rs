//! Sealing a password to one device, for one job.
//!
//! HPKE (RFC 9180) in mode Auth with DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and
//! ChaCha20-Poly1305. The device knows that its deployment sealed, nobody else can read or make
//! one, and everything that the job says of itself is associated data: change any of it, and it
//! does not open.

use std::convert::Infallible;
use std::fmt;

use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::{Kem, X25519HkdfSha256};
use hpke::{Deserializable, HpkeError, OpModeR, OpModeS, Serializable};
use hpke::{single_shot_open, single_shot_seal_with_rng};
use minicbor::{Decode, Encode, Encoder};
use opencpm_domain::{
    AppId, DeploymentId, Generation, InstanceId, JobId, Password, Sequence, Timestamp,
};
use rand_core::CryptoRng;
use secrecy::SecretString;
use zeroize::Zeroizing;

use crate::key::{AuthorityKey, AuthorityPublic, SealingKey, SealingPublic};

/// The `info` of RFC 9180, section 5: keys derived for this purpose serve no other.
const INFO: &[u8] = b"opencpm job v1";

/// Version of [`SealContext::associated_data`]'s layout.
const LAYOUT: u8 = 1;

/// Every password is padded to this, its length byte included, so that its length stays secret.
const PADDED: usize = 64;

/// What a job asks of the machine. The numbers are on the wire and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum Verb {
    /// Set root's password to the sealed one.
    #[n(1)]
    SetRootPassword,
}

impl Verb {
    /// The number on the wire.
    pub const fn number(self) -> u8 {
        match self {
            Self::SetRootPassword => 1,
        }
    }

    /// The verb with this number; `None` when a newer version made it.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::SetRootPassword),
            _ => None,
        }
    }
}

/// All that a sealed job is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealContext {
    /// Which installation.
    pub deployment: DeploymentId,
    /// Which account owns the device.
    pub account: AppId,
    /// Which device.
    pub instance: InstanceId,
    /// The generation of the device's identity key.
    pub identity_generation: Generation,
    /// The generation of the sealing key that opens it.
    pub sealing_generation: Generation,
    /// What to do.
    pub verb: Verb,
    /// Which job.
    pub job: JobId,
    /// Its place in the device's order.
    pub sequence: Sequence,
    /// When it was sealed.
    pub issued_at: Timestamp,
    /// Not to be applied later.
    pub not_after: Timestamp,
}

impl SealContext {
    /// The associated data: a CBOR array of eleven elements in this order, each in its shortest
    /// form: layout version (1), deployment (16 bytes), account, instance id (text), identity-key
    /// generation, sealing-key generation, verb, job (16 bytes), sequence, issued-at and
    /// not-after (microseconds). One context has one encoding, and one encoding one context.
    ///
    /// Writing to memory does not fail; the error keeps a caller from ever going on with less.
    pub fn associated_data(&self) -> Result<Vec<u8>, ContextError> {
        let mut e = Encoder::new(Vec::with_capacity(128));
        e.array(11)?
            .u8(LAYOUT)?
            .bytes(self.deployment.as_bytes())?
            .u64(self.account.get())?
            .str(self.instance.as_str())?
            .u32(self.identity_generation.get())?
            .u32(self.sealing_generation.get())?
            .u8(self.verb.number())?
            .bytes(self.job.as_bytes())?
            .u64(self.sequence.get())?
            .u64(self.issued_at.as_micros())?
            .u64(self.not_after.as_micros())?;
        Ok(e.into_writer())
    }
}

/// The job's description could not be encoded.
#[derive(Debug, thiserror::Error)]
#[error("the associated data cannot be encoded")]
pub struct ContextError(#[from] minicbor::encode::Error<Infallible>);

/// A password that only one device can read.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct SealedJob {
    /// The encapsulated key (RFC 9180, section 4).
    #[cbor(n(0), with = "minicbor::bytes")]
    pub enc: [u8; 32],
    /// The padded password, encrypted, and the tag: always 80 bytes.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub ciphertext: Vec<u8>,
}

impl fmt::Debug for SealedJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedJob({} bytes)", self.ciphertext.len())
    }
}

/// Why a password could not be sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// More than the 63 bytes that fit the padding; no policy allows so long a password.
    #[error("the password is too long to be sealed")]
    TooLong,
    /// See [`ContextError`].
    #[error(transparent)]
    Context(#[from] ContextError),
    /// The device's key is none that anything can be sealed to.
    #[error("nothing can be sealed to this key")]
    Key(#[source] HpkeError),
}

/// Why a sealed job does not open. Says nothing about the password.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// See [`ContextError`].
    #[error(transparent)]
    Context(#[from] ContextError),
    /// Sealed to another key, by another authority, for another job, or changed on the way.
    #[error("the job was not sealed to this key by this authority for this purpose")]
    Refused(#[source] HpkeError),
    /// Opened, but the authority put no padded password into it.
    #[error("the sealed job holds no padded password")]
    Padding,
    /// Opened, but not UTF-8.
    #[error("the sealed password is not text")]
    Text,
}

/// Seals `password` to `device`, as `authority`, for the job that `context` describes.
pub fn seal(
    password: &Password,
    context: &SealContext,
    device: &SealingPublic,
    authority: &AuthorityKey,
    rng: &mut impl CryptoRng,
) -> Result<SealedJob, SealError> {
    let padded = pad(password.expose()).ok_or(SealError::TooLong)?;
    let aad = context.associated_data()?;
    seal_bytes(INFO, &aad, &*padded, device, authority, rng).map_err(SealError::Key)
}

/// Opens what [`seal`] made, if every field of `context` and both keys are the same as there.
///
/// The password policy is the API's business and is not checked again.
pub fn open(
    sealed: &SealedJob,
    context: &SealContext,
    device: &SealingKey,
    authority: &AuthorityPublic,
) -> Result<SecretString, OpenError> {
    let aad = context.associated_data()?;
    let padded = open_bytes(INFO, &aad, sealed, device, authority).map_err(OpenError::Refused)?;
    let password = unpad(&padded).ok_or(OpenError::Padding)?;
    std::str::from_utf8(password).map(SecretString::from).map_err(|_| OpenError::Text)
}

/// `SealAuth` of RFC 9180, section 6.1.
fn seal_bytes(
    info: &[u8],
    aad: &[u8],
    plaintext: &[u8],
    device: &SealingPublic,
    authority: &AuthorityKey,
    rng: &mut impl CryptoRng,
) -> Result<SealedJob, HpkeError> {
    let sender = (authority.kem().clone(), authority.public().kem()?);
    let (enc, ciphertext) = single_shot_seal_with_rng::<
        ChaCha20Poly1305,
        HkdfSha256,
        X25519HkdfSha256,
    >(
        &OpModeS::Auth(sender), &device.kem()?, info, plaintext, aad, rng
    )?;
    Ok(SealedJob { enc: enc.to_bytes().into(), ciphertext })
}

/// `OpenAuth` of RFC 9180, section 6.1.
fn open_bytes(
    info: &[u8],
    aad: &[u8],
    sealed: &SealedJob,
    device: &SealingKey,
    authority: &AuthorityPublic,
) -> Result<Zeroizing<Vec<u8>>, HpkeError> {
    single_shot_open::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
        &OpModeR::Auth(authority.kem()?),
        device.kem(),
        &<X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(&sealed.enc)?,
        info,
        &sealed.ciphertext,
        aad,
    )
    .map(Zeroizing::new)
}

/// Length byte, password, zeros. `None` when it does not fit.
fn pad(password: &str) -> Option<Zeroizing<[u8; PADDED]>> {
    let mut padded = Zeroizing::new([0; PADDED]);
    padded[0] = u8::try_from(password.len()).ok()?;
    padded.get_mut(1..=password.len())?.copy_from_slice(password.as_bytes());
    Some(padded)
}

/// The bytes that [`pad`] was given. `None` for an empty password and for anything that [`pad`]
/// does not make.
fn unpad(padded: &[u8]) -> Option<&[u8]> {
    let (&length, rest) = padded.split_first()?;
    let (password, zeros) = rest.split_at_checked(usize::from(length))?;
    let well_made = padded.len() == PADDED && length > 0 && zeros.iter().all(|&z| z == 0);
    well_made.then_some(password)
}

#[cfg(test)]
mod tests {
    use super::*;
    use opencpm_domain::hex_to_bytes;
    use proptest::prelude::*;
    use rand_core::{TryCryptoRng, TryRng};

    /// Gives the bytes of a test vector instead of random ones.
    struct Tape(Vec<u8>);

    impl TryRng for Tape {
        type Error = Infallible;

        fn try_next_u32(&mut self) -> Result<u32, Infallible> {
            rand_core::utils::next_word_via_fill(self)
        }

        fn try_next_u64(&mut self) -> Result<u64, Infallible> {
            rand_core::utils::next_word_via_fill(self)
        }

        fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
            let rest = self.0.split_off(bytes.len());
            bytes.copy_from_slice(&std::mem::replace(&mut self.0, rest));
            Ok(())
        }
    }

    impl TryCryptoRng for Tape {}

    fn bytes<const N: usize>(hex: &str) -> [u8; N] {
        hex_to_bytes(hex).unwrap().try_into().unwrap()
    }

    /// RFC 9180, appendix A.2.3 (mode Auth), sequence number 0.
    mod rfc9180 {
        pub(super) const INFO: &str = "4f6465206f6e2061204772656369616e2055726e";
        pub(super) const IKM_E: &str =
            "938d3daa5a8904540bc24f48ae90eed3f4f7f11839560597b55e7c9598c996c0";
        pub(super) const PK_R: &str =
            "1a478716d63cb2e16786ee93004486dc151e988b34b475043d3e0175bdb01c44";
        pub(super) const SK_R: &str =
            "3ca22a6d1cda1bb9480949ec5329d3bf0b080ca4c45879c95eddb55c70b80b82";
        pub(super) const PK_S: &str =
            "f0f4f9e96c54aeed3f323de8534fffd7e0577e4ce269896716bcb95643c8712b";
        pub(super) const SK_S: &str =
            "2def0cb58ffcf83d1062dd085c8aceca7f4c0c3fd05912d847b61f3e54121f05";
        pub(super) const ENC: &str =
            "f7674cc8cd7baa5872d1f33dbaffe3314239f6197ddf5ded1746760bfc847e0e";
        pub(super) const AAD: &str = "436f756e742d30";
        pub(super) const PT: &str = "4265617574792069732074727574682c20747275746820626561757479";
        pub(super) const CT: &str = "ab1a13c9d4f01a87ec3440dbd756e2677bd2ecf9df0ce7ed73869b98e00c09be\
                                     111cb9fdf077347aeb88e61bdf";
    }

    fn vector() -> SealedJob {
        SealedJob { enc: bytes(rfc9180::ENC), ciphertext: hex_to_bytes(rfc9180::CT).unwrap() }
    }

    #[test]
    fn sealing_gives_what_the_rfc_gives() {
        let authority = AuthorityKey::from_bytes(&bytes(rfc9180::SK_S)).unwrap();
        assert_eq!(authority.public().as_bytes(), &bytes(rfc9180::PK_S));
        let sealed = seal_bytes(
            &hex_to_bytes(rfc9180::INFO).unwrap(),
            &hex_to_bytes(rfc9180::AAD).unwrap(),
            &hex_to_bytes(rfc9180::PT).unwrap(),
            &SealingPublic::from_bytes(bytes(rfc9180::PK_R)),
            &authority,
            &mut Tape(hex_to_bytes(rfc9180::IKM_E).unwrap()),
        );
        assert_eq!(sealed, Ok(vector()));
    }

    #[test]
    fn opening_takes_what_the_rfc_gives() {
        let device = SealingKey::from_bytes(&bytes(rfc9180::SK_R)).unwrap();
        assert_eq!(device.public().as_bytes(), &bytes(rfc9180::PK_R));
        let opened = open_bytes(
            &hex_to_bytes(rfc9180::INFO).unwrap(),
            &hex_to_bytes(rfc9180::AAD).unwrap(),
            &vector(),
            &device,
            &AuthorityPublic::from_bytes(bytes(rfc9180::PK_S)),
        );
        assert_eq!(opened.unwrap().to_vec(), hex_to_bytes(rfc9180::PT).unwrap());
    }

    #[test]
    fn only_a_padded_password_is_one() {
        let good = *pad("abce1234").unwrap();
        assert_eq!(unpad(&good), Some(&b"abce1234"[..]));
        for (at, value) in [(0, 0), (0, 7), (0, 64), (0, 255), (9, 1), (63, 1)] {
            let mut bad = good;
            bad[at] = value;
            assert_eq!(unpad(&bad), None, "{at} = {value}");
        }
        assert!(unpad(&[]).is_none() && unpad(&good[..63]).is_none());
        assert!(pad(&"x".repeat(64)).is_none() && pad(&"x".repeat(300)).is_none());
    }

    #[test]
    fn a_password_that_is_no_text_is_refused() {
        let device = SealingKey::from_bytes(&[1; 32]).unwrap();
        let authority = AuthorityKey::from_bytes(&[2; 32]).unwrap();
        let context = SealContext {
            deployment: DeploymentId::from_bytes([3; 16]),
            account: AppId::new(1).unwrap(),
            instance: InstanceId::parse("cpm-34xs43xs").unwrap(),
            identity_generation: Generation::FIRST,
            sealing_generation: Generation::FIRST,
            verb: Verb::SetRootPassword,
            job: JobId::from_bytes([4; 16]),
            sequence: Sequence::new(5),
            issued_at: Timestamp::from_secs(6),
            not_after: Timestamp::from_secs(7),
        };
        let sealed_bytes = |plaintext: &[u8]| {
            let aad = context.associated_data().unwrap();
            let tape = &mut Tape(vec![9; 32]);
            seal_bytes(INFO, &aad, plaintext, &device.public(), &authority, tape).unwrap()
        };
        let mut padded = [0; PADDED];
        padded[..2].copy_from_slice(&[1, 0xff]);
        let open = |sealed| open(&sealed, &context, &device, &authority.public());
        assert!(matches!(open(sealed_bytes(&padded)), Err(OpenError::Text)));
        assert!(matches!(open(sealed_bytes(b"abce1234")), Err(OpenError::Padding)));
    }

    proptest! {
        #[test]
        fn padding_keeps_every_text(text in "\\PC{1,20}") {
            prop_assume!(text.len() < PADDED);
            let padded = pad(&text).unwrap();
            prop_assert_eq!(unpad(&*padded), Some(text.as_bytes()));
        }

        #[test]
        fn foreign_bytes_are_unpadded_without_panic(padded in any::<Vec<u8>>()) {
            prop_assert!(unpad(&padded).is_none_or(|password| password.len() < PADDED));
        }
    }
}
