//! What a request gives for each parameter of an action, before its form is checked: every
//! dialect comes down to this.

use zeroize::Zeroizing;

use super::{Accepted, Action, Kind, tags};
use crate::dialect::Dialect;
use crate::form::Form;
use crate::json::Json;

/// What one request gives for one parameter.
pub(super) enum Given {
    Absent,
    One(Scalar),
    List(Vec<Item>),
    Unreadable(&'static str),
}

/// One value as text.
pub(super) struct Scalar {
    pub(super) text: Zeroizing<String>,
    pub(super) written: Written,
}

/// How a value was written. A form has texts only; what they are is known from the parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    InForm,
    JsonText,
    JsonNumber,
}

/// One item of a list.
pub(super) struct Item {
    /// As sent, such as `3`, or `0.TagKey` in a list of tags; `None` for a bare value.
    pub(super) index: Option<String>,
    pub(super) value: Scalar,
}

/// What was given for each of the action's parameters, in the table's order, and the names that
/// are none of them.
pub(super) struct Gathered {
    pub(super) given: Vec<Given>,
    pub(super) unknown: Vec<Zeroizing<String>>,
}

impl Gathered {
    /// Sorts the fields of a form that are not common parameters.
    pub(super) fn from_form(action: &'static Action, dialect: Dialect, form: &Form) -> Self {
        let mut gathered = Self::nothing(action);
        for (name, value) in form.fields().filter(|(name, _)| !dialect.is_common(name)) {
            let (base, index) = match name.split_once('.') {
                Some((base, index)) => (base, Some(index)),
                None => (name, None),
            };
            let takes = |a: &Accepted| {
                a.parameter.name_in(dialect) == Some(base)
                    && (index.is_none() || a.parameter.kind.is_list())
            };
            match action.parameters.iter().position(takes) {
                Some(place) => {
                    let is_index = action.parameters[place].parameter.kind.index_form();
                    gathered.given[place].add(index, value, is_index);
                }
                None => gathered.unknown.push(Zeroizing::new(name.to_owned())),
            }
        }
        gathered.given.iter_mut().for_each(Given::sort);
        gathered
    }

    /// Sorts the members of an object. `null` means absent (contract section 3).
    pub(super) fn from_json(action: &'static Action, body: Vec<(String, Json)>) -> Self {
        let mut gathered = Self::nothing(action);
        for (name, value) in body {
            let takes = |a: &Accepted| a.parameter.name_v3 == Some(name.as_str());
            match action.parameters.iter().position(takes) {
                Some(place) => {
                    let kind = action.parameters[place].parameter.kind;
                    gathered.given[place] = Given::from_json(value, kind);
                }
                None => gathered.unknown.push(Zeroizing::new(name)),
            }
        }
        gathered
    }

    fn nothing(action: &'static Action) -> Self {
        Self {
            given: action.parameters.iter().map(|_| Given::Absent).collect(),
            unknown: Vec::new(),
        }
    }
}

impl Given {
    fn from_json(value: Json, kind: Kind) -> Self {
        match value {
            Json::Null => Self::Absent,
            Json::List(list) if kind == Kind::Tags => tag_items(list),
            Json::List(list) if kind.is_list() => {
                let items = list.into_iter().enumerate().map(|(n, value)| {
                    Some(Item { index: Some(n.to_string()), value: Scalar::from_json(value)? })
                });
                let items: Option<_> = items.collect();
                items
                    .map_or(Self::Unreadable("a list of texts or integers is expected"), Self::List)
            }
            value => Scalar::from_json(value)
                .map_or(Self::Unreadable("a text or an integer is expected"), Self::One),
        }
    }

    fn add(&mut self, index: Option<&str>, value: &str, is_index: fn(&str) -> bool) {
        let text = Zeroizing::new(value.to_owned());
        let value = Scalar { text, written: Written::InForm };
        let Some(index) = index else {
            *self = match self {
                Self::Absent => Self::One(value),
                _ => Self::Unreadable("give it once, or as a list"),
            };
            return;
        };
        if !is_index(index) {
            *self = Self::Unreadable("an index is decimal digits without leading zeros");
            return;
        }
        let item = Item { index: Some(index.to_owned()), value };
        match self {
            Self::Absent => *self = Self::List(vec![item]),
            Self::List(items) => items.push(item),
            Self::One(_) => *self = Self::Unreadable("give it once, or as a list"),
            Self::Unreadable(_) => {}
        }
    }

    /// By number; without leading zeros, a longer index is a larger one.
    fn sort(&mut self) {
        if let Self::List(items) = self {
            items.sort_by(|a, b| {
                let key = |item: &Item| item.index.as_deref().map_or(0, str::len);
                key(a).cmp(&key(b)).then_with(|| a.index.cmp(&b.index))
            });
        }
    }

    /// Absent and empty are the same for what is required (contract section 6).
    pub(super) fn is_missing(&self) -> bool {
        match self {
            Self::Absent => true,
            Self::One(value) => value.text.is_empty(),
            Self::List(_) | Self::Unreadable(_) => false,
        }
    }
}

/// What a tag in JSON is.
const PARTS: &str = "each is an object with TagKey and TagValues";

/// Names the parts of tags as a form would (contract 4.3).
fn tag_items(list: Vec<Json>) -> Given {
    let (key, values) = tags::names(Dialect::V3);
    let mut items = Vec::new();
    for (n, tag) in list.into_iter().enumerate() {
        let Json::Object(members) = tag else { return Given::Unreadable("objects are expected") };
        // An object without a key would leave no trace in the names, so no tag where one was meant.
        let is_key = |(name, member): &(String, Json)| name == key && !matches!(member, Json::Null);
        if !members.iter().any(is_key) {
            return Given::Unreadable(PARTS);
        }
        for (name, member) in members {
            let parts = match member {
                Json::Null => continue,
                Json::List(list) if name == values => list
                    .into_iter()
                    .enumerate()
                    .map(|(m, v)| (format!("{n}.{name}.{m}"), v))
                    .collect(),
                one if name == key => vec![(format!("{n}.{name}"), one)],
                _ => return Given::Unreadable(PARTS),
            };
            for (index, part) in parts {
                match Scalar::from_json(part) {
                    Some(value) if value.written == Written::JsonText => {
                        items.push(Item { index: Some(index), value });
                    }
                    _ => return Given::Unreadable("keys and values are texts"),
                }
            }
        }
    }
    Given::List(items)
}

impl Scalar {
    fn from_json(value: Json) -> Option<Self> {
        match value {
            Json::Text(text) => Some(Self { text, written: Written::JsonText }),
            Json::Integer(digits) => {
                Some(Self { text: Zeroizing::new(digits), written: Written::JsonNumber })
            }
            _ => None,
        }
    }
}

/// Decimal digits without leading zeros (contract section 3).
pub(super) fn is_index(text: &str) -> bool {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits && (text == "0" || !text.starts_with('0'))
}
