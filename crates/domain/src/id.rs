//! Ids are types, so that a task id does not fit where a job id is asked for.

use std::fmt;
use std::str::FromStr;

/// A text or number that is not an id of the kind asked for. Says which kind, never the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {0}")]
pub struct InvalidId(&'static str);

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// Checks the form and wraps the text.
            pub fn parse(text: &str) -> Result<Self, InvalidId> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) { Ok(Self(text.into())) } else { Err(InvalidId($what)) }
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::parse(text)
            }
        }
    };
}

macro_rules! bytes_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// An id from sixteen random bytes.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The bytes of the id.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }

            /// The id from 32 lower-case hexadecimal digits, as `Display` writes it.
            pub fn parse(text: &str) -> Result<Self, InvalidId> {
                let bytes = hex_to_bytes(text).ok_or(InvalidId($what))?;
                bytes.try_into().map(Self).map_err(|_| InvalidId($what))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&to_hex(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
    };
}

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $max:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u64);

        impl $name {
            /// The largest value.
            pub const MAX: u64 = $max;

            /// Checks the bounds, 1 to [`Self::MAX`], and wraps the number.
            pub const fn new(number: u64) -> Result<Self, InvalidId> {
                if number >= 1 && number <= Self::MAX {
                    Ok(Self(number))
                } else {
                    Err(InvalidId($what))
                }
            }

            /// The number.
            pub const fn get(self) -> u64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

text_id! {
    /// A device: 1 to 64 of `[A-Za-z0-9_-]` (contract section 3), such as `cpm-34xs43xs`.
    InstanceId, "instance id", |text| is_word(text, 64)
}

text_id! {
    /// The public half of an API key: 1 to 64 of `[A-Za-z0-9_-]`.
    SecretId, "secret id", |text| is_word(text, 64)
}

text_id! {
    /// The user on whose behalf a key acts; the operation log records it. 1 to 20 digits.
    Uin, "uin", |text| {
        (1..=20).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
    }
}

bytes_id! {
    /// One device's share of one task: random, so that it never repeats.
    JobId, "job id"
}

bytes_id! {
    /// One run of one gateway process: new at each start.
    GatewayId, "gateway id"
}

bytes_id! {
    /// This installation; part of everything that is signed or sealed.
    DeploymentId, "deployment id"
}

number_id! {
    /// An account. Fits a JSON number everywhere.
    AppId, "app id", (1 << 53) - 1
}

number_id! {
    /// An accepted request: positive, at most 2^53-1 (contract 4.1). Never repeats, also after a
    /// backup is restored, because it is the later of the last id + 1 and the time in microseconds.
    TaskId, "task id", (1 << 53) - 1
}

/// The order of the jobs of one device: the later of the highest + 1 and the time in microseconds.
///
/// A device refuses any new job whose sequence is not above its highest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Sequence(u64);

impl Sequence {
    /// The sequence with this number; 0 stands for "none yet".
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The sequence for the next job of a device whose highest given or reported one is `self`.
    pub fn next(self, now: crate::Timestamp) -> Self {
        Self(self.0.saturating_add(1).max(now.as_micros()))
    }
}

/// Counts the versions of a key or a statement from 1 upwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(u32);

impl Generation {
    /// The first one.
    pub const FIRST: Self = Self(1);

    /// The generation with this number; generations count from 1.
    pub const fn new(number: u32) -> Result<Self, InvalidId> {
        if number >= 1 { Ok(Self(number)) } else { Err(InvalidId("generation")) }
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The one after this.
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl InstanceId {
    /// An id for a new device: `cpm-` and a letter or digit for five bits of each byte. 40 random
    /// bits; whoever writes it checks that it is free.
    pub fn from_random(bytes: [u8; 8]) -> Self {
        Self(format!("cpm-{}", letters(bytes)).into())
    }
}

impl SecretId {
    /// An id for a new key: `AKID` and a letter or digit for five bits of each byte.
    pub fn from_random(bytes: [u8; 28]) -> Self {
        Self(format!("AKID{}", letters(bytes)).into())
    }
}

/// Without those that people take for one another.
fn letters<const N: usize>(bytes: [u8; N]) -> String {
    const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte & 31)])).collect()
}

impl TaskId {
    /// The id of a new task when `last` was the highest id so far.
    pub fn next(last: Option<Self>, now: crate::Timestamp) -> Result<Self, InvalidId> {
        let after_last = last.map_or(1, |id| id.0 + 1);
        Self::new(after_last.max(now.as_micros()))
    }
}

fn is_word(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// Lower-case hexadecimal digits of some bytes.
pub fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let nibbles = bytes.iter().flat_map(|b| [b >> 4, b & 15]);
    nibbles.map(|n| char::from(DIGITS[usize::from(n)])).collect()
}

/// The bytes behind lower-case hexadecimal digits; `None` for anything else.
pub fn hex_to_bytes(text: &str) -> Option<Vec<u8>> {
    let nibble = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| Some(nibble(pair[0])? << 4 | nibble(*pair.get(1)?)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;

    #[test]
    fn instance_ids_seen_in_the_wild_are_accepted() {
        for id in ["cpm-34xs43xs", "dcpm-ntlsj9gh", "tcpm-q0hcvsrn", &"x".repeat(64)] {
            assert_eq!(InstanceId::parse(id).map(|i| i.to_string()).as_deref(), Ok(id));
        }
        for bad in ["", "a b", "cpm-é", "cpm.1", &"x".repeat(65)] {
            assert!(InstanceId::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn ids_that_were_made_up_are_valid() {
        for byte in 0..=255 {
            let instance = InstanceId::from_random([byte; 8]);
            assert_eq!(InstanceId::parse(instance.as_str()), Ok(instance));
            let secret = SecretId::from_random([byte; 28]);
            assert_eq!(SecretId::parse(secret.as_str()), Ok(secret));
        }
    }

    #[test]
    fn a_sequence_grows_even_when_the_clock_goes_back() {
        let first = Sequence::default().next(Timestamp::from_secs(100));
        assert_eq!(first.get(), 100_000_000);
        assert_eq!(first.next(Timestamp::from_secs(50)).get(), 100_000_001);
    }

    #[test]
    fn a_restored_backup_does_not_repeat_task_ids() {
        let before = TaskId::next(None, Timestamp::from_secs(1_700_000_000)).unwrap();
        let after = TaskId::next(None, Timestamp::from_secs(1_700_000_060)).unwrap();
        assert!(after > before);
        assert!(after.get() < TaskId::MAX);
    }

    #[test]
    fn hex_is_read_back_and_nothing_else_is() {
        let id = JobId::from_bytes([0xa5; 16]);
        assert_eq!(JobId::parse(&id.to_string()), Ok(id));
        assert!(JobId::parse("A5").is_err() && JobId::parse(&"a".repeat(31)).is_err());
    }
}
