use std::collections::BTreeSet;

use opencpm_domain::InstanceId;

use super::{Tag, TagFilter};

/// What a key may do.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Scope {
    /// May use the administrative actions, for every account.
    pub admin: bool,
    /// API 2.0 names of the operations it may use; `None` for all.
    pub actions: Option<Vec<String>>,
    /// The devices of its account that it sees and may reset; `None` for all.
    pub devices: Option<DeviceScope>,
}

/// Some devices of an account: those that are listed, and those that carry one of the tags.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct DeviceScope {
    /// Listed.
    pub instances: BTreeSet<InstanceId>,
    /// Or with any of these tags, as the device carries them at that moment.
    pub tags: Vec<TagFilter>,
}

impl Scope {
    /// Every action of an account, for all of its devices, and administration.
    pub const ADMINISTRATOR: Self = Self { admin: true, actions: None, devices: None };

    /// Whether an operation may be used; by its API 2.0 name.
    pub fn allows_action(&self, action: &str) -> bool {
        self.actions.as_ref().is_none_or(|list| list.iter().any(|listed| listed == action))
    }

    /// Whether a device with these tags is one of the key's own. Only of a tag that would make it
    /// so is asked whether it `counts`.
    pub fn allows_device(
        &self,
        instance: &InstanceId,
        tags: &[Tag],
        counts: impl Fn(&Tag) -> bool,
    ) -> bool {
        self.devices.as_ref().is_none_or(|devices| devices.allows(instance, tags, counts))
    }

    /// Whether every action that `other` may use may be used with this, too.
    pub fn covers_actions(&self, other: &Self) -> bool {
        match (&self.actions, &other.actions) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(_), Some(actions)) => actions.iter().all(|action| self.allows_action(action)),
        }
    }

    /// Whether every device that is inside of `other` is inside of this, however devices are
    /// tagged now or later.
    pub fn covers_devices(&self, other: &Self) -> bool {
        match (&self.devices, &other.devices) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(own), Some(devices)) => own.covers(devices),
        }
    }
}

impl DeviceScope {
    /// The most devices that can be listed. The list is read with each request of the key.
    pub const MOST_INSTANCES: usize = 1_000;

    /// Whether a device with these tags is inside. A tag that does not count is as if absent; only
    /// one that would let the device in is asked about.
    pub fn allows(
        &self,
        instance: &InstanceId,
        tags: &[Tag],
        counts: impl Fn(&Tag) -> bool,
    ) -> bool {
        let lets_in = |tag: &&Tag| self.tags.iter().any(|filter| filter.matches(tag));
        self.instances.contains(instance) || tags.iter().filter(lets_in).any(counts)
    }

    /// Whether everything inside of `other` is inside of this. A device that is inside of this by
    /// a tag does not count as listed: it may lose the tag.
    fn covers(&self, other: &Self) -> bool {
        other.instances.is_subset(&self.instances)
            && other.tags.iter().all(|filter| self.covers_tag(filter))
    }

    fn covers_tag(&self, filter: &TagFilter) -> bool {
        let mut same_key = self.tags.iter().filter(|own| own.key == filter.key);
        let value_covered = |value: &String| {
            let mut own = self.tags.iter().filter(|own| own.key == filter.key);
            own.any(|own| own.values.contains(value))
        };
        same_key.any(|own| own.values.is_empty())
            || (!filter.values.is_empty() && filter.values.iter().all(value_covered))
    }
}

impl TagFilter {
    /// Whether a device with this tag has what is asked for.
    pub fn matches(&self, tag: &Tag) -> bool {
        tag.key == self.key && (self.values.is_empty() || self.values.contains(&tag.value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn ids() -> impl Strategy<Value = BTreeSet<InstanceId>> {
        let id = (0..4_u8).prop_map(|n| InstanceId::parse(&format!("cpm-{n}")).unwrap());
        proptest::collection::btree_set(id, 0..3)
    }

    fn word() -> impl Strategy<Value = String> {
        (0..3_u8).prop_map(|n| n.to_string())
    }

    fn scopes() -> impl Strategy<Value = DeviceScope> {
        let filter =
            (word(), vec(word(), 0..3)).prop_map(|(key, values)| TagFilter { key, values });
        (ids(), vec(filter, 0..3)).prop_map(|(instances, tags)| DeviceScope { instances, tags })
    }

    fn tags() -> impl Strategy<Value = Vec<Tag>> {
        vec((word(), word()).prop_map(|(key, value)| Tag { key, value, mac: None }), 0..3)
    }

    proptest! {
        #[test]
        fn a_device_is_inside_when_it_is_listed_or_carries_one_of_the_tags_that_counts(
            scope in scopes(), tags in tags(), instance in ids(), counting in word(),
        ) {
            let counts = |tag: &Tag| tag.value == counting;
            for instance in instance {
                let listed = scope.instances.iter().any(|id| *id == instance);
                let lets_in = |tag: &Tag| scope.tags.iter().any(|filter| {
                    filter.key == tag.key
                        && (filter.values.is_empty() || filter.values.contains(&tag.value))
                });
                let tagged = tags.iter().any(lets_in);
                prop_assert_eq!(scope.allows(&instance, &tags, |_| true), listed || tagged);
                let counted = tags.iter().any(|tag| lets_in(tag) && counts(tag));
                prop_assert_eq!(scope.allows(&instance, &tags, counts), listed || counted);
            }
        }

        #[test]
        fn what_is_covered_reaches_no_further_however_devices_are_tagged(
            wide in scopes(), narrow in scopes(), tags in tags(), instances in ids(),
        ) {
            if wide.covers(&narrow) {
                for instance in instances {
                    let allows = |scope: &DeviceScope| scope.allows(&instance, &tags, |_| true);
                    prop_assert!(!allows(&narrow) || allows(&wide));
                }
            }
            prop_assert!(wide.covers(&wide));
        }
    }

    #[test]
    fn a_listed_device_is_not_covered_by_a_tag_that_it_could_lose() {
        let any = TagFilter { key: "role".into(), values: vec![] };
        let of = |values: &[&str]| TagFilter {
            key: "role".into(),
            values: values.iter().map(|value| (*value).to_owned()).collect(),
        };
        let tagged = |tags| DeviceScope { tags, ..DeviceScope::default() };
        let listed = DeviceScope {
            instances: [InstanceId::parse("cpm-1").unwrap()].into(),
            ..DeviceScope::default()
        };
        assert!(!tagged(vec![any.clone()]).covers(&listed));
        assert!(tagged(vec![any.clone()]).covers(&tagged(vec![of(&["db"])])));
        assert!(tagged(vec![of(&["db"]), of(&["web"])]).covers(&tagged(vec![of(&["web", "db"])])));
        assert!(!tagged(vec![of(&["db"])]).covers(&tagged(vec![any])));
        assert!(!tagged(vec![of(&["db"])]).covers(&tagged(vec![of(&["db", "web"])])));
    }
}
