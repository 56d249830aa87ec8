//! Lists of tags: `Tags.N.TagKey` and `Tags.N.TagValues.M` (contract 4.3).

use std::collections::BTreeMap;

use opencpm_operations::row::TagFilter;

use super::given::{Item, is_index};
use super::kind::short;
use crate::dialect::Dialect;

/// So many tags in one list, and so many values of each.
const MOST: usize = 50;

/// Characters of a key.
const LONGEST_KEY: usize = 127;

/// Characters of a value.
const LONGEST_VALUE: usize = 255;

/// What the dialect calls the parts of a tag: the key, the values.
pub(crate) const fn names(dialect: Dialect) -> (&'static str, &'static str) {
    match dialect {
        Dialect::V2 => ("tagKey", "tagValues"),
        Dialect::V3 => ("TagKey", "TagValues"),
    }
}

/// One tag in the making.
#[derive(Default)]
struct Parts {
    key: Option<String>,
    values: Vec<String>,
}

/// Puts together what belongs to one tag; the error completes the sentence "PARAMETER: ...".
/// The items are in the order of their indexes.
pub(super) fn read(items: Vec<Item>, dialect: Dialect) -> Result<Vec<TagFilter>, String> {
    let (key_name, values_name) = names(dialect);
    let wrong = || format!("each is N.{key_name} and any number of N.{values_name}.M");
    let mut tags: BTreeMap<(usize, String), Parts> = BTreeMap::new();
    for item in items {
        let index = item.index.unwrap_or_default();
        let (number, part) = index.split_once('.').unwrap_or((&index, ""));
        if !is_index(number) {
            return Err(wrong());
        }
        let tag = tags.entry((number.len(), number.to_owned())).or_default();
        let text = item.value.text.as_str().to_owned();
        match part.split_once('.') {
            None if part == key_name => tag.key = Some(text),
            Some((name, place)) if name == values_name && is_index(place) => tag.values.push(text),
            _ => return Err(wrong()),
        }
    }
    let whole =
        tags.into_values().map(|Parts { key, values }| Some(TagFilter { key: key?, values }));
    whole.collect::<Option<Vec<_>>>().ok_or_else(wrong)
}

/// Checks the bounds; the error completes the sentence "PARAMETER: ...".
pub(super) fn check(tags: &[TagFilter]) -> Result<(), String> {
    let few = |count, what| match count {
        0..=MOST => Ok(()),
        _ => Err(format!("at most {MOST} {what} are expected")),
    };
    if tags.is_empty() {
        // As of every list: nobody knows whether it stands for none or for no limit.
        return Err(format!("1 to {MOST} tags are expected"));
    }
    few(tags.len(), "tags")?;
    tags.iter().try_for_each(|tag| {
        if tag.key.is_empty() {
            return Err("a key is expected".to_owned());
        }
        short(&tag.key, LONGEST_KEY)?;
        few(tag.values.len(), "values of a tag")?;
        tag.values.iter().try_for_each(|value| short(value, LONGEST_VALUE))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::given::{Scalar, Written};
    use zeroize::Zeroizing;

    fn items(fields: &[(&str, &str)]) -> Vec<Item> {
        let item = |(index, text): &(&str, &str)| Item {
            index: Some((*index).to_owned()),
            value: Scalar { text: Zeroizing::new((*text).to_owned()), written: Written::InForm },
        };
        fields.iter().map(item).collect()
    }

    fn tag(key: &str, values: &[&str]) -> TagFilter {
        TagFilter { key: key.to_owned(), values: values.iter().map(|v| (*v).to_owned()).collect() }
    }

    #[test]
    fn parts_with_the_same_number_are_one_tag() {
        let fields = [
            ("10.tagKey", "c"),
            ("2.tagKey", "b"),
            ("2.tagValues.0", "x"),
            ("2.tagValues.10", "y"),
        ];
        let tags = read(items(&fields), Dialect::V2).unwrap();
        assert_eq!(tags, [tag("b", &["x", "y"]), tag("c", &[])]);
    }

    #[test]
    fn parts_that_make_no_tag_are_refused() {
        for part in ["0", "x.tagKey", "01.tagKey", "0.TagKey", "0.tagValues", "0.tagValues.x", ""] {
            assert!(read(items(&[(part, "a")]), Dialect::V2).is_err(), "{part}");
        }
        assert!(read(items(&[("0.tagValues.0", "a")]), Dialect::V2).is_err(), "no key");
    }

    #[test]
    fn lists_and_texts_have_bounds() {
        assert!(check(&[tag(&"k".repeat(127), &[&"v".repeat(255)])]).is_ok());
        assert!(check(&[tag("", &[])]).is_err());
        assert!(check(&[]).is_err());
        assert!(check(&[tag(&"k".repeat(128), &[])]).is_err());
        assert!(check(&[tag("k", &[&"v".repeat(256)])]).is_err());
        assert!(check(&vec![tag("k", &[]); 51]).is_err());
        assert!(check(&[tag("k", &["v"; 51])]).is_err());
    }
}
