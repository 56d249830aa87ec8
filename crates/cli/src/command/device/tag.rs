use std::collections::BTreeMap;
use std::str::FromStr;

use serde_json::Value;

use crate::client::Parameters;
use crate::output::field;

/// `KEY=VALUE`, or `KEY` alone.
#[derive(Clone)]
pub(super) struct Tag {
    key: String,
    value: Option<String>,
}

impl FromStr for Tag {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (key, value) = match text.split_once('=') {
            Some((key, value)) => (key, Some(value.to_owned())),
            None => (text, None),
        };
        if key.is_empty() {
            Err("it has the form KEY=VALUE or KEY")
        } else {
            Ok(Self { key: key.to_owned(), value })
        }
    }
}

/// Adds tags: each key once, with all of its values.
pub(super) fn with_tags(parameters: Parameters, tags: &[Tag]) -> Parameters {
    let mut by_key: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for tag in tags {
        by_key.entry(&tag.key).or_default().extend(tag.value.as_deref());
    }
    by_key.into_iter().enumerate().fold(parameters, |all, (n, (key, values))| {
        let all = all.with(&format!("tags.{n}.tagKey"), key);
        all.with_list(&format!("tags.{n}.tagValues"), values)
    })
}

/// A tag of an answer, as it is asked for.
pub(super) fn text(tag: &Value) -> String {
    let [key, value] = ["key", "value"].map(|name| field(tag, name));
    if value.is_empty() { key } else { format!("{key}={value}") }
}
