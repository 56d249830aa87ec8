//! How many requests each key may make (contract 7.1, step 7). What was used is kept in a ledger:
//! in the memory of a single process, or where all nodes share it.

mod in_memory;

use std::collections::BTreeMap;
use std::sync::Arc;

use opencpm_domain::{Condition, Quota, Refusal, Timestamp};

use crate::authenticate::Caller;
use crate::port::{QuotaLedger, QuotaLine};
use crate::refusal::store_refusal;

pub use in_memory::InMemoryLedger;

/// What the operator chose. None of it unless configured.
#[derive(Clone, Debug, Default)]
pub struct QuotaSettings {
    /// For each key, whatever it asks.
    pub per_key: Option<Quota>,
    /// For each key and each action.
    pub per_action: Option<Quota>,
    /// Instead of that, for each key and these actions, by their API 2.0 names.
    pub actions: BTreeMap<String, Quota>,
}

/// Counts requests.
pub struct Quotas {
    settings: QuotaSettings,
    ledger: Arc<dyn QuotaLedger>,
}

impl Default for Quotas {
    /// No quotas.
    fn default() -> Self {
        Self::new(QuotaSettings::default(), Arc::new(InMemoryLedger::default()))
    }
}

impl Quotas {
    /// Counts by these settings, in this ledger.
    pub fn new(settings: QuotaSettings, ledger: Arc<dyn QuotaLedger>) -> Self {
        Self { settings, ledger }
    }

    /// Counts one request, or refuses it and counts nothing. `action` is its API 2.0 name; `None`
    /// for an action that there is not. A temporary key shares the quota of its maker: else it
    /// could be had anew with each.
    pub async fn check(
        &self,
        caller: &Caller,
        action: Option<&'static str>,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let key = caller.maker.as_ref().unwrap_or(&caller.secret_id);
        let line = |quota, action| QuotaLine { key: key.clone(), action, quota };
        let in_all = self.settings.per_key.map(|quota| line(quota, None));
        let of_action = action.and_then(|name| {
            let quota = self.settings.actions.get(name).copied().or(self.settings.per_action);
            quota.map(|quota| line(quota, Some(name)))
        });
        let lines: Vec<_> = in_all.into_iter().chain(of_action).collect();
        if lines.is_empty() {
            return Ok(());
        }
        match self.ledger.take(&lines, now).await.map_err(store_refusal)? {
            None => Ok(()),
            Some(full) => Err(used_up(lines.get(full).and_then(|line| line.action))),
        }
    }
}

fn used_up(action: Option<&'static str>) -> Refusal {
    let message = match action {
        Some(action) => format!("the key's quota for {action} is used up; ask again later"),
        None => "the key's quota is used up; ask again later".to_owned(),
    };
    Refusal::new(Condition::QuotaExceeded, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::Scope;
    use opencpm_domain::{AppId, SecretId, Span, Uin};

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
    const RESET: Option<&str> = Some("ResetDevicePasswd");
    const LIST: Option<&str> = Some("DescribeDevice");

    fn key(name: &str) -> Caller {
        Caller {
            secret_id: SecretId::parse(name).unwrap(),
            app_id: AppId::new(1).unwrap(),
            uin: Uin::parse("1").unwrap(),
            scope: Scope::default(),
            maker: None,
        }
    }

    fn quotas(per_key: u32, per_action: u32, reset: u32) -> Quotas {
        let actions = Quota::per_minute(reset).map(|quota| ("ResetDevicePasswd".into(), quota));
        let settings = QuotaSettings {
            per_key: Quota::per_minute(per_key),
            per_action: Quota::per_minute(per_action),
            actions: actions.into_iter().collect(),
        };
        Quotas::new(settings, Arc::new(InMemoryLedger::default()))
    }

    #[tokio::test]
    async fn without_settings_nothing_is_refused() {
        let quotas = quotas(0, 0, 0);
        for _ in 0..10_000 {
            quotas.check(&key("a"), RESET, NOW).await.unwrap();
        }
    }

    #[tokio::test]
    async fn each_key_and_each_action_has_its_own_quota_and_an_action_may_have_another() {
        let quotas = quotas(0, 2, 1);
        quotas.check(&key("a"), RESET, NOW).await.unwrap();
        let refused = quotas.check(&key("a"), RESET, NOW).await.unwrap_err();
        assert_eq!(refused.condition, Condition::QuotaExceeded);
        assert!(refused.message.contains("ResetDevicePasswd"), "{refused}");
        quotas.check(&key("b"), RESET, NOW).await.unwrap();
        for _ in 0..2 {
            quotas.check(&key("a"), LIST, NOW).await.unwrap();
        }
        assert!(quotas.check(&key("a"), LIST, NOW).await.is_err());
        quotas.check(&key("a"), None, NOW).await.unwrap();
        quotas.check(&key("a"), RESET, NOW + Span::from_secs(60)).await.unwrap();
    }

    #[tokio::test]
    async fn what_one_quota_refuses_uses_nothing_of_the_other() {
        let quotas = quotas(3, 1, 0);
        quotas.check(&key("a"), LIST, NOW).await.unwrap();
        for _ in 0..9 {
            assert!(quotas.check(&key("a"), LIST, NOW).await.is_err());
        }
        quotas.check(&key("a"), RESET, NOW).await.unwrap();
        quotas.check(&key("a"), None, NOW).await.unwrap();
        assert!(quotas.check(&key("a"), None, NOW).await.is_err(), "an unknown action counts, too");
    }

    #[tokio::test]
    async fn a_temporary_key_shares_the_quota_of_its_maker() {
        let quotas = quotas(1, 0, 0);
        let temporary = |name| Caller { maker: Some(key("a").secret_id), ..key(name) };
        quotas.check(&temporary("b"), LIST, NOW).await.unwrap();
        assert!(quotas.check(&temporary("c"), LIST, NOW).await.is_err());
        assert!(quotas.check(&key("a"), LIST, NOW).await.is_err());
    }
}
