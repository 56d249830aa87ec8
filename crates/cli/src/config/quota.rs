use std::collections::BTreeMap;

use opencpm_api::action::{Action, Dialect};
use opencpm_operations::quotas::QuotaSettings;
use serde::de::{Deserializer, Error};
use serde::{Deserialize, Serialize};

/// How many requests a key may make in a minute. Nothing is counted unless it is given.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Quota {
    /// Of each key, whatever it asks.
    #[serde(deserialize_with = "some_requests")]
    per_key: Option<u32>,
    /// Of each key and each action.
    #[serde(deserialize_with = "some_requests")]
    per_action: Option<u32>,
    /// Of each key and these actions, by their API 2.0 names, instead of `per_action`.
    #[serde(deserialize_with = "by_action")]
    actions: BTreeMap<String, u32>,
}

impl Quota {
    /// As the operations count.
    pub(crate) fn settings(&self) -> QuotaSettings {
        let rule = opencpm_domain::Quota::per_minute;
        let actions = self.actions.iter().filter_map(|(name, requests)| {
            Some((Action::named(name, Dialect::V2)?.name().to_owned(), rule(*requests)?))
        });
        QuotaSettings {
            per_key: self.per_key.and_then(rule),
            per_action: self.per_action.and_then(rule),
            actions: actions.collect(),
        }
    }
}

fn some_requests<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    Option::<u32>::deserialize(from)?.map(requests).transpose()
}

fn by_action<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, u32>, D::Error> {
    let actions = BTreeMap::<String, u32>::deserialize(from)?;
    if let Some(unknown) = actions.keys().find(|name| Action::named(name, Dialect::V2).is_none()) {
        return Err(Error::custom(format!("found {unknown:?}, expected an API 2.0 action's name")));
    }
    actions.into_iter().map(|(name, number)| Ok((name, requests(number)?))).collect()
}

fn requests<E: Error>(number: u32) -> Result<u32, E> {
    match opencpm_domain::Quota::per_minute(number) {
        Some(_) => Ok(number),
        None => Err(E::custom(format!(
            "found {number}, expected 1 to {} requests a minute",
            opencpm_domain::Quota::MOST
        ))),
    }
}
