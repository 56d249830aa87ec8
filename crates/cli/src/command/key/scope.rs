//! What a key may do, as options.

use clap::Args;
use opencpm_domain::InstanceId;

use crate::client::Parameters;

/// Options of the commands that make a key.
#[derive(Args)]
pub(crate) struct ScopeArgs {
    /// May administrate
    #[arg(long)]
    admin: bool,
    /// API 2.0 name of an action that it may use, or several; all unless given
    #[arg(
        long = "action",
        visible_alias = "actions",
        value_delimiter = ',',
        value_name = "ACTION"
    )]
    actions: Vec<String>,
    /// Limits it to this device, or to several, and to those with a --tag
    #[arg(long = "device", value_delimiter = ',', value_name = "ID", conflicts_with = "admin")]
    devices: Vec<InstanceId>,
    /// Limits it to devices with this tag, whatever its value unless one is given; may be given
    /// again for more, besides those with a --device
    #[arg(long = "tag", value_name = "KEY[=VALUE]", conflicts_with = "admin")]
    tags: Vec<Tag>,
}

/// `KEY` or `KEY=VALUE`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Tag {
    key: String,
    value: Option<String>,
}

impl std::str::FromStr for Tag {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (key, value) = match text.split_once('=') {
            Some((key, value)) => (key, Some(value.to_owned())),
            None => (text, None),
        };
        match key {
            "" => Err("expected KEY or KEY=VALUE"),
            key => Ok(Self { key: key.to_owned(), value }),
        }
    }
}

impl ScopeArgs {
    /// Adds what was asked for.
    pub(super) fn over(self, parameters: Parameters) -> Parameters {
        let all = parameters
            .with_some("admin", self.admin.then_some(1))
            .with_list("actions", self.actions)
            .with_list("instanceIds", self.devices);
        self.tags.into_iter().enumerate().fold(all, |all, (number, tag)| {
            all.with(&format!("tags.{number}.tagKey"), tag.key)
                .with_some(&format!("tags.{number}.tagValues.0"), tag.value)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_has_a_key_and_may_have_a_value() {
        let tag = |text: &str| text.parse::<Tag>().map(|tag| (tag.key, tag.value));
        assert_eq!(tag("team"), Ok(("team".into(), None)));
        assert_eq!(tag("team=a=b"), Ok(("team".into(), Some("a=b".into()))));
        assert_eq!(tag("team="), Ok(("team".into(), Some(String::new()))));
        assert!(tag("=b").is_err() && tag("").is_err());
    }
}
