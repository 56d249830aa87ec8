//! How many requests each key may make (contract 7.1, step 7): in the memory of this process, so
//! that each node counts for itself.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use opencpm_domain::{Condition, Quota, QuotaUsed, Refusal, SecretId, Timestamp};

use crate::authenticate::Caller;

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

/// Counts requests. What has come back in full is forgotten, so that memory is bounded by the
/// keys and actions of the last minutes, and those exist: only verified requests are counted.
#[derive(Debug, Default)]
pub struct Quotas {
    settings: QuotaSettings,
    used: Mutex<Ledger>,
}

/// A key, and an action or all of them together.
type Line = (SecretId, Option<&'static str>);

#[derive(Debug, Default)]
struct Ledger {
    used: HashMap<Line, QuotaUsed>,
    /// Looked through when it has grown to so many.
    sweep_at: usize,
}

/// Below so many lines nothing is looked through.
const FEW: usize = 1_024;

impl Quotas {
    /// Counts by these settings.
    pub fn new(settings: QuotaSettings) -> Self {
        Self { settings, used: Mutex::default() }
    }

    /// Counts one request, or refuses it and counts nothing. `action` is its API 2.0 name; `None`
    /// for an action that there is not. A temporary key shares the quota of its maker: else it
    /// could be had anew with each.
    pub fn check(
        &self,
        caller: &Caller,
        action: Option<&'static str>,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let key = caller.maker.as_ref().unwrap_or(&caller.secret_id);
        let in_all = self.settings.per_key.map(|quota| (quota, None));
        let of_action = action.and_then(|name| {
            let quota = self.settings.actions.get(name).copied().or(self.settings.per_action);
            quota.map(|quota| (quota, Some(name)))
        });
        let quotas: Vec<_> = in_all.into_iter().chain(of_action).collect();
        if quotas.is_empty() {
            return Ok(());
        }
        // A line is changed as a whole, so that a panic elsewhere leaves none half-written.
        let mut ledger = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        ledger.take(key, &quotas, now)
    }

    /// How many lines are remembered.
    pub fn remembered(&self) -> usize {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).used.len()
    }
}

impl Ledger {
    /// From all of them, or from none.
    fn take(
        &mut self,
        key: &SecretId,
        quotas: &[(Quota, Option<&'static str>)],
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let mut more = Vec::with_capacity(quotas.len());
        for (quota, action) in quotas {
            let line = (key.clone(), *action);
            let used = self.used.get(&line).copied().unwrap_or_default();
            match quota.one_more(used, now) {
                Some(used) => more.push((line, used)),
                None => return Err(used_up(*action)),
            }
        }
        self.used.extend(more);
        self.forget(now);
        Ok(())
    }

    /// Each look pays for itself by the lines that were added since the one before.
    fn forget(&mut self, now: Timestamp) {
        if self.used.len() >= self.sweep_at.max(FEW) {
            self.used.retain(|_, used| !used.is_nothing(now));
            self.used.shrink_to(2 * self.used.len());
            self.sweep_at = 2 * self.used.len();
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
    use opencpm_domain::{AppId, Span, Uin};

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
        Quotas::new(QuotaSettings {
            per_key: Quota::per_minute(per_key),
            per_action: Quota::per_minute(per_action),
            actions: actions.into_iter().collect(),
        })
    }

    #[test]
    fn without_settings_nothing_is_refused_or_remembered() {
        let quotas = quotas(0, 0, 0);
        for _ in 0..10_000 {
            quotas.check(&key("a"), RESET, NOW).unwrap();
        }
        assert_eq!(quotas.remembered(), 0);
    }

    #[test]
    fn each_key_and_each_action_has_its_own_quota_and_an_action_may_have_another() {
        let quotas = quotas(0, 2, 1);
        quotas.check(&key("a"), RESET, NOW).unwrap();
        let refused = quotas.check(&key("a"), RESET, NOW).unwrap_err();
        assert_eq!(refused.condition, Condition::QuotaExceeded);
        assert!(refused.message.contains("ResetDevicePasswd"), "{refused}");
        quotas.check(&key("b"), RESET, NOW).unwrap();
        for _ in 0..2 {
            quotas.check(&key("a"), LIST, NOW).unwrap();
        }
        assert!(quotas.check(&key("a"), LIST, NOW).is_err());
        quotas.check(&key("a"), None, NOW).unwrap();
        quotas.check(&key("a"), RESET, NOW + Span::from_secs(60)).unwrap();
    }

    #[test]
    fn what_one_quota_refuses_uses_nothing_of_the_other() {
        let quotas = quotas(3, 1, 0);
        quotas.check(&key("a"), LIST, NOW).unwrap();
        for _ in 0..9 {
            assert!(quotas.check(&key("a"), LIST, NOW).is_err());
        }
        quotas.check(&key("a"), RESET, NOW).unwrap();
        quotas.check(&key("a"), None, NOW).unwrap();
        assert!(quotas.check(&key("a"), None, NOW).is_err(), "an unknown action counts, too");
    }

    #[test]
    fn a_temporary_key_shares_the_quota_of_its_maker() {
        let quotas = quotas(1, 0, 0);
        let temporary = |name| Caller { maker: Some(key("a").secret_id), ..key(name) };
        quotas.check(&temporary("b"), LIST, NOW).unwrap();
        assert!(quotas.check(&temporary("c"), LIST, NOW).is_err());
        assert!(quotas.check(&key("a"), LIST, NOW).is_err());
    }

    #[test]
    fn keys_that_are_idle_are_forgotten() {
        let quotas = quotas(10, 0, 0);
        for number in 0..100_000_u64 {
            let now = NOW + Span::from_micros(number * 60_000);
            quotas.check(&key(&number.to_string()), LIST, now).unwrap();
        }
        assert!(quotas.remembered() <= 2 * FEW, "{}", quotas.remembered());
    }
}
