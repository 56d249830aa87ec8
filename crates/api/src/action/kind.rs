use std::collections::BTreeSet;

use jiff::tz::Offset;
use opencpm_domain::{DeviceStatus, InstanceId, OperateStatus, SecretId, Uin};
use opencpm_operations::row::TagFilter;
use zeroize::Zeroizing;

use super::Action;
use super::given::{Given, Item, Scalar, Written, is_index};
use super::tags;
use crate::dialect::Dialect;
use crate::moment::Moment;

/// A list holds at most so many values (contract 4.1).
pub const MOST_ITEMS: usize = 100_000;

/// What the values of a parameter are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text of at most so many characters.
    Text {
        /// Characters.
        most: usize,
    },
    /// A list of such texts.
    Texts {
        /// Characters of each.
        most: usize,
    },
    /// One of these names; the case of the first letter does not matter.
    Choice(&'static [&'static str]),
    /// A list of such names.
    Choices(&'static [&'static str]),
    /// A password; checked against the policy in force.
    Password,
    /// A whole number in decimal digits.
    Integer {
        /// Smallest.
        least: u64,
        /// Largest in API 2.0.
        most: u64,
        /// Largest in API 3.0.
        most_v3: u64,
    },
    /// A list of whole numbers.
    Integers {
        /// Smallest.
        least: u64,
        /// Largest.
        most: u64,
    },
    /// 0 or 1.
    Flag,
    /// An instance id.
    Instance,
    /// A list of instance ids.
    Instances {
        /// No id twice.
        distinct: bool,
    },
    /// `YYYY-MM-DD HH:MM:SS`.
    Time,
    /// `YYYY-MM-DD`, or the above.
    Day,
    /// A device status (contract section 5).
    DeviceStatus,
    /// A list of device statuses.
    DeviceStatuses,
    /// An operate status that can be stored: not 11.
    OperateStatus,
    /// The public half of a key.
    SecretId,
    /// A user.
    Uin,
    /// A list of API 2.0 action names.
    Actions,
    /// A list of tags, each with a key and a list of values: `Tags.N.TagKey`,
    /// `Tags.N.TagValues.M` (contract 4.3).
    Tags,
}

/// A value whose form is right.
pub(crate) enum Value {
    Text(Zeroizing<String>),
    Texts(Vec<String>),
    /// So large that every text of digits fits or is far out of bounds.
    Integer(i128),
    Integers(Vec<i128>),
    Instances(Vec<InstanceId>),
    Moment(Moment),
    Tags(Vec<TagFilter>),
}

impl Kind {
    /// True for what the contract writes as `name.n`.
    pub const fn is_list(self) -> bool {
        matches!(
            self,
            Self::Texts { .. }
                | Self::Integers { .. }
                | Self::Instances { .. }
                | Self::DeviceStatuses
                | Self::Actions
                | Self::Choices(_)
                | Self::Tags
        )
    }

    /// True for whole numbers and lists of them: what API 3.0 writes as JSON numbers.
    pub const fn is_integer(self) -> bool {
        matches!(
            self,
            Self::Integer { .. }
                | Self::Integers { .. }
                | Self::Flag
                | Self::DeviceStatus
                | Self::DeviceStatuses
                | Self::OperateStatus
        )
    }

    /// What may stand behind the first `.` of a name in a form.
    pub(super) fn index_form(self) -> fn(&str) -> bool {
        if self == Self::Tags { |_| true } else { is_index }
    }

    /// Reads the form; the error completes the sentence "PARAMETER: ...".
    pub(super) fn read(
        self,
        given: Given,
        dialect: Dialect,
        offset: Offset,
    ) -> Result<Value, String> {
        match given {
            Given::List(items) if self == Self::Tags => {
                Ok(Value::Tags(tags::read(items, dialect)?))
            }
            Given::List(items) if self.is_list() => self.read_list(items),
            Given::One(value) if self.is_list() => {
                if value.written != Written::InForm || self == Self::Tags {
                    return Err("a list is expected".to_owned());
                }
                self.read_list(vec![Item { index: None, value }])
            }
            Given::One(value) => {
                self.check_written(&value)?;
                self.read_one(value.text, offset)
            }
            Given::Absent | Given::List(_) => Err("one value is expected".to_owned()),
            Given::Unreadable(why) => Err(why.to_owned()),
        }
    }

    /// A JSON number stands for integers only; a text may hold the digits of one (contract 3).
    fn check_written(self, value: &Scalar) -> Result<(), String> {
        if value.written == Written::JsonNumber && !self.is_integer() {
            return Err("a text is expected".to_owned());
        }
        Ok(())
    }

    fn read_one(self, text: Zeroizing<String>, offset: Offset) -> Result<Value, String> {
        let value = match self {
            Self::Integer { .. } | Self::Flag | Self::DeviceStatus | Self::OperateStatus => {
                integer(&text).map(Value::Integer).ok_or("an integer in decimal digits is expected")
            }
            Self::Instance => InstanceId::parse(&text)
                .map(|id| Value::Instances(vec![id]))
                .map_err(|_| "this is not an instance id: 1 to 64 of A-Z a-z 0-9 _ -"),
            Self::SecretId if SecretId::parse(&text).is_err() => Err("this is not a key's id"),
            Self::Uin if Uin::parse(&text).is_err() => Err("1 to 20 digits are expected"),
            Self::Time => Moment::second(&text, offset)
                .map(Value::Moment)
                .ok_or("YYYY-MM-DD HH:MM:SS is expected"),
            Self::Day => Moment::day(&text, offset)
                .map(Value::Moment)
                .ok_or("YYYY-MM-DD or YYYY-MM-DD HH:MM:SS is expected"),
            _ => Ok(Value::Text(text)),
        };
        value.map_err(str::to_owned)
    }

    fn read_list(self, items: Vec<Item>) -> Result<Value, String> {
        items.iter().try_for_each(|item| self.check_written(&item.value))?;
        match self {
            Self::Instances { distinct } => {
                let ids =
                    read_items(items, "an instance id: 1 to 64 of A-Z a-z 0-9 _ -", |text| {
                        InstanceId::parse(text).ok()
                    })?;
                if distinct {
                    refuse_twice(&ids)?
                }
                Ok(Value::Instances(ids))
            }
            Self::Integers { .. } | Self::DeviceStatuses => {
                read_items(items, "an integer in decimal digits", integer).map(Value::Integers)
            }
            _ => Ok(Value::Texts(
                items.into_iter().map(|i| i.value.text.as_str().to_owned()).collect(),
            )),
        }
    }

    /// Checks the bounds; the error completes the sentence "PARAMETER: ...".
    pub(super) fn check(self, value: &Value, dialect: Dialect) -> Result<(), String> {
        match (self, value) {
            (Self::Text { most }, Value::Text(text)) => short(text, most),
            (Self::Choice(names), Value::Text(text)) => one_of(names, text),
            (Self::Integer { least, most, most_v3 }, Value::Integer(number)) => {
                let most = if dialect == Dialect::V2 { most } else { most_v3 };
                between(*number, least, most)
            }
            (Self::Flag, Value::Integer(number)) => between(*number, 0, 1),
            (Self::DeviceStatus, Value::Integer(number)) => device_status(*number),
            (Self::OperateStatus, Value::Integer(number)) => operate_status(*number),
            (_, Value::Texts(texts)) => {
                few(texts)?;
                texts.iter().try_for_each(|text| match self {
                    Self::Texts { most } => short(text, most),
                    Self::Choices(names) => one_of(names, text),
                    _ if Action::named(text, Dialect::V2).is_some() => Ok(()),
                    _ => Err("API 2.0 action names are expected".to_owned()),
                })
            }
            (_, Value::Integers(numbers)) => {
                few(numbers)?;
                numbers.iter().try_for_each(|number| match self {
                    Self::Integers { least, most } => between(*number, least, most),
                    _ => device_status(*number),
                })
            }
            (_, Value::Instances(ids)) => few(ids),
            (_, Value::Tags(tags)) => tags::check(tags),
            _ => Ok(()),
        }
    }
}

/// The name that a text means: the case of the first letter does not matter (contract 4.3).
pub(super) fn choice(names: &'static [&'static str], text: &str) -> Option<&'static str> {
    names.iter().copied().find(|name| match (name.split_at_checked(1), text.split_at_checked(1)) {
        (Some((a, name)), Some((b, text))) => a.eq_ignore_ascii_case(b) && name == text,
        _ => false,
    })
}

fn one_of(names: &'static [&'static str], text: &str) -> Result<(), String> {
    match choice(names, text) {
        Some(_) => Ok(()),
        None => Err(format!("one of {} is expected", names.join(", "))),
    }
}

fn integer(text: &str) -> Option<i128> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().unwrap_or(i128::MAX))
}

/// Reads every item. All offending ones are named (contract 4.1), by their place, not by their
/// text: what stands in the wrong place may be a password.
fn read_items<T>(
    items: Vec<Item>,
    expected: &str,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>, String> {
    let mut values = Vec::with_capacity(items.len());
    let mut bad = Vec::new();
    for item in items {
        match read(&item.value.text) {
            Some(value) => values.push(value),
            None => bad.push(item.index.unwrap_or_else(|| "its value".to_owned())),
        }
    }
    if bad.is_empty() { Ok(values) } else { Err(format!("not {expected}: {}", bad.join(", "))) }
}

fn refuse_twice(ids: &[InstanceId]) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    let twice: BTreeSet<_> = ids.iter().filter(|id| !seen.insert(*id)).collect();
    if twice.is_empty() {
        return Ok(());
    }
    let twice: Vec<_> = twice.into_iter().map(InstanceId::as_str).collect();
    Err(format!("given more than once: {}", twice.join(", ")))
}

pub(super) fn short(text: &str, most: usize) -> Result<(), String> {
    match text.chars().nth(most) {
        Some(_) => Err(format!("at most {most} characters are expected")),
        None => Ok(()),
    }
}

fn few<T>(items: &[T]) -> Result<(), String> {
    match items.len() {
        1..=MOST_ITEMS => Ok(()),
        count => Err(format!("1 to {MOST_ITEMS} values are expected, not {count}")),
    }
}

fn between(number: i128, least: u64, most: u64) -> Result<(), String> {
    if (i128::from(least)..=i128::from(most)).contains(&number) {
        Ok(())
    } else {
        Err(format!("a number from {least} to {most} is expected"))
    }
}

fn device_status(number: i128) -> Result<(), String> {
    let known = u8::try_from(number).ok().and_then(|n| DeviceStatus::try_from(n).ok());
    known.map(|_| ()).ok_or_else(|| "this is no device status".to_owned())
}

fn operate_status(number: i128) -> Result<(), String> {
    let known = u8::try_from(number).ok().and_then(|n| OperateStatus::try_from(n).ok());
    match known {
        None => Err("this is no operate status".to_owned()),
        Some(OperateStatus::ResettingPassword) => {
            Err("11 is what an open task shows; it cannot be set".to_owned())
        }
        Some(_) => Ok(()),
    }
}
