use std::collections::BTreeMap;

use opencpm_api::action::Action;
use opencpm_api::dialect::Dialect;
use opencpm_operations::quotas::QuotaSettings;
use serde::de::{Deserializer, Error};
use serde::{Deserialize, Serialize};

/// How many requests a key may make in a minute. Nothing is counted unless it is given.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
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
    /// Of one action, as `ACTION=N`. The error says what was expected.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let wanted = || "expected an action and its requests a minute: ACTION=N".to_owned();
        let (action, requests) = text.split_once('=').ok_or_else(wanted)?;
        let requests: u32 = requests.parse().map_err(|_| wanted())?;
        let value = serde_json::json!({ "actions": { action: requests } });
        serde_json::from_value(value).map_err(|error| error.to_string())
    }

    /// Both; where they say something of the same, the other.
    pub(crate) fn with(mut self, other: Self) -> Self {
        self.actions.extend(other.actions);
        Self {
            per_key: other.per_key.or(self.per_key),
            per_action: other.per_action.or(self.per_action),
            ..self
        }
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_labs_quotas_are_of_one_action_each() {
        let quotas = ["DescribeDevice=2", "ResetDevicePasswd=30"].map(Quota::parse);
        let all = quotas.into_iter().map(Result::unwrap).fold(Quota::default(), Quota::with);
        assert_eq!(all.settings().actions.len(), 2);
        assert!(all.settings().per_key.is_none());
        for wrong in ["DescribeDevice", "DescribeDevice=", "DescribeDevice=0", "Nothing=1", "=1"] {
            assert!(Quota::parse(wrong).is_err(), "{wrong}");
        }
    }
}
