//! The enrolment token: one string that a person copies to a machine.
//!
//! `opencpm1.` + base64url of a CBOR map + `.` + base64url of the first 6 bytes of the map's
//! SHA-256. The sum comes last, so that a copy that lost its end is told from one that was
//! changed. Spaces and line breaks that a terminal put between are ignored.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use minicbor::decode::Error as DecodeError;
use minicbor::{Decode, Encode};
use opencpm_domain::{DeploymentId, InstanceId, InvalidId};
use rand_core::CryptoRng;
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::key::VerifyingKey;

/// The longest text that is looked at, in bytes.
pub const MAX_TOKEN: usize = 8 * 1024;

/// The most addresses that a token may name.
pub const MAX_ADDRESSES: usize = 16;

/// How the text of one kind of token begins; everything else is the same for every kind.
pub(crate) struct Kind {
    /// Of every format of this kind.
    pub(crate) name: &'static str,
    /// The name, the number of the format and a dot.
    pub(crate) prefix: &'static str,
}

const ENROLMENT: Kind = Kind { name: "opencpm", prefix: "opencpm1." };
const SUM_BYTES: usize = 6;
const SUM_CHARS: usize = SUM_BYTES / 3 * 4;

/// Lets one or more machines become devices, and tells them whom to trust.
pub struct EnrolmentToken {
    secret: Zeroizing<[u8; 32]>,
    /// The root key that the agent pins.
    pub root: VerifyingKey,
    /// Which installation.
    pub deployment: DeploymentId,
    /// `host:port` of the listeners that enrol, in the order to try them.
    addresses: Vec<String>,
    /// The one device that this token enrols again; `None` for tokens that make new devices.
    pub instance: Option<InstanceId>,
}

/// Why a text is not a usable token. Never holds any part of the text.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Something else was copied.
    #[error("this is not the token that is asked for: one begins with {0}")]
    NotAToken(&'static str),
    /// A token of a format that this version does not read.
    #[error("the token has a newer format: install a newer version here")]
    NewerFormat,
    /// Over [`MAX_TOKEN`].
    #[error("the token is longer than any token is")]
    TooLong,
    /// The end is missing.
    #[error("the token is cut off: copy it again, to its end")]
    CutOff,
    /// A character was changed, lost or added.
    #[error("the token was changed in copying: copy it again")]
    Damaged,
    /// The sum is right, but not the content: whoever made the token made a mistake.
    #[error("the token's content cannot be read")]
    Content(#[source] DecodeError),
    /// As [`Self::Content`].
    #[error("the token names no valid device")]
    Instance(#[source] InvalidId),
    /// None or more than [`MAX_ADDRESSES`].
    #[error("a token names 1 to {MAX_ADDRESSES} addresses")]
    AddressCount,
    /// Not a host name or address, a colon and a port from 1 to 65535.
    #[error("an address in the token is not of the form host:port")]
    Address,
}

impl EnrolmentToken {
    /// A new token with a random secret.
    pub fn generate(
        rng: &mut impl CryptoRng,
        root: VerifyingKey,
        deployment: DeploymentId,
        addresses: Vec<String>,
        instance: Option<InstanceId>,
    ) -> Result<Self, TokenError> {
        check_addresses(&addresses)?;
        let mut secret = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *secret);
        Ok(Self { secret, root, deployment, addresses, instance })
    }

    /// Reads the copied text.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        Self::parse_as(&ENROLMENT, text)
    }

    /// Reads the text of another kind of token with the same content.
    pub(crate) fn parse_as(kind: &Kind, text: &str) -> Result<Self, TokenError> {
        let text = without_whitespace(text)?;
        let (body, sum) = split(kind, &text)?;
        let map = Zeroizing::new(URL_SAFE_NO_PAD.decode(body).map_err(|_| TokenError::Damaged)?);
        if checksum(&map) != sum {
            return Err(TokenError::Damaged);
        }
        let content: Content = minicbor::decode(&map).map_err(TokenError::Content)?;
        content.into_token()
    }

    /// The text to copy.
    pub fn to_secret_text(&self) -> SecretString {
        self.to_secret_text_as(&ENROLMENT)
    }

    /// The text of another kind of token with the same content.
    pub(crate) fn to_secret_text_as(&self, kind: &Kind) -> SecretString {
        let map = Content::of(self).to_bytes();
        let mut text = Zeroizing::new(String::with_capacity(2 * map.len() + 32));
        text.push_str(kind.prefix);
        URL_SAFE_NO_PAD.encode_string(&*map, &mut text);
        text.push('.');
        text.push_str(&checksum(&map));
        SecretString::from(text.as_str())
    }

    /// What the machine shows to be enrolled.
    pub fn secret(&self) -> &[u8; 32] {
        &self.secret
    }

    /// What the store keeps: [`secret_hash`] of the secret.
    pub fn secret_hash(&self) -> [u8; 32] {
        secret_hash(self.secret())
    }

    /// `host:port` of the listeners that enrol, in the order to try them; never empty.
    pub fn addresses(&self) -> &[String] {
        &self.addresses
    }
}

/// SHA-256 of a token's secret. The secret is random, so a plain hash hides it.
pub fn secret_hash(secret: &[u8; 32]) -> [u8; 32] {
    Sha256::digest(secret).into()
}

impl fmt::Debug for EnrolmentToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnrolmentToken")
            .field("deployment", &self.deployment)
            .field("addresses", &self.addresses)
            .field("instance", &self.instance)
            .finish_non_exhaustive()
    }
}

/// The token in CBOR. New fields get new numbers and must be optional.
#[derive(Encode, Decode)]
#[cbor(map)]
struct Content {
    #[cbor(n(0), with = "crate::wire")]
    secret: Zeroizing<[u8; 32]>,
    #[n(1)]
    root: VerifyingKey,
    #[cbor(n(2), with = "minicbor::bytes")]
    deployment: [u8; 16],
    #[n(3)]
    addresses: Vec<String>,
    #[n(4)]
    instance: Option<String>,
}

impl Content {
    fn of(token: &EnrolmentToken) -> Self {
        Self {
            secret: token.secret.clone(),
            root: token.root,
            deployment: *token.deployment.as_bytes(),
            addresses: token.addresses.clone(),
            instance: token.instance.as_ref().map(|id| id.as_str().to_owned()),
        }
    }

    /// Room for everything is made first: a buffer that grows leaves copies behind.
    fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let addresses: usize = self.addresses.iter().map(|address| address.len() + 5).sum();
        let mut map = Zeroizing::new(Vec::with_capacity(256 + addresses));
        // Writing to memory cannot fail; an unfinished map would be refused by every reader.
        minicbor::encode(self, &mut *map).unwrap_or_default();
        map
    }

    fn into_token(self) -> Result<EnrolmentToken, TokenError> {
        check_addresses(&self.addresses)?;
        let instance = self.instance.as_deref().map(InstanceId::parse).transpose();
        Ok(EnrolmentToken {
            secret: self.secret,
            root: self.root,
            deployment: DeploymentId::from_bytes(self.deployment),
            addresses: self.addresses,
            instance: instance.map_err(TokenError::Instance)?,
        })
    }
}

fn without_whitespace(text: &str) -> Result<Zeroizing<String>, TokenError> {
    if text.len() > MAX_TOKEN {
        return Err(TokenError::TooLong);
    }
    let mut kept = Zeroizing::new(String::with_capacity(text.len()));
    kept.extend(text.chars().filter(|c| !c.is_whitespace()));
    Ok(kept)
}

/// The map and the sum, still in base64.
fn split<'t>(kind: &Kind, text: &'t str) -> Result<(&'t str, &'t str), TokenError> {
    let Some(rest) = text.strip_prefix(kind.prefix) else {
        return Err(match text.strip_prefix(kind.name) {
            Some(rest) if "1.".starts_with(rest) => TokenError::CutOff,
            Some(rest) if rest.starts_with(|c: char| c.is_ascii_digit()) => TokenError::NewerFormat,
            _ => TokenError::NotAToken(kind.prefix),
        });
    };
    match rest.split_once('.') {
        Some((body, sum)) if sum.len() >= SUM_CHARS => Ok((body, sum)),
        _ => Err(TokenError::CutOff),
    }
}

fn checksum(map: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(&Sha256::digest(map)[..SUM_BYTES])
}

fn check_addresses(addresses: &[String]) -> Result<(), TokenError> {
    if !(1..=MAX_ADDRESSES).contains(&addresses.len()) {
        return Err(TokenError::AddressCount);
    }
    let all_valid = addresses.iter().all(|address| is_host_and_port(address));
    if all_valid { Ok(()) } else { Err(TokenError::Address) }
}

/// A name, an IPv4 address or an IPv6 address in brackets; a colon; a port.
fn is_host_and_port(address: &str) -> bool {
    let Some((host, port)) = address.rsplit_once(':') else { return false };
    let is_port =
        port.bytes().all(|b| b.is_ascii_digit()) && port.parse().is_ok_and(|p: u16| p > 0);
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_host = match bracketed {
        Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            (1..=253).contains(&host.len())
                && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
        }
    };
    is_port && is_host
}
