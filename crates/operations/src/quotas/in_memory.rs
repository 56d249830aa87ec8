use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use opencpm_domain::{QuotaUsed, SecretId, Timestamp};

use crate::port::{QuotaLedger, QuotaLine, StoreError};

/// The ledger of a single process. What has come back in full is forgotten, so that memory is
/// bounded by the keys and actions of the last minutes, and those exist: only verified requests
/// are counted.
#[derive(Debug, Default)]
pub struct InMemoryLedger(Mutex<Lines>);

#[derive(Debug, Default)]
struct Lines {
    used: HashMap<(SecretId, Option<&'static str>), QuotaUsed>,
    /// Looked through when it has grown to so many.
    sweep_at: usize,
}

/// Below so many lines nothing is looked through.
const FEW: usize = 1_024;

#[async_trait]
impl QuotaLedger for InMemoryLedger {
    async fn take(&self, lines: &[QuotaLine], now: Timestamp) -> Result<Option<usize>, StoreError> {
        // A line is changed as a whole, so that a panic elsewhere leaves none half-written.
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).take(lines, now))
    }
}

impl Lines {
    fn take(&mut self, lines: &[QuotaLine], now: Timestamp) -> Option<usize> {
        let mut more = Vec::with_capacity(lines.len());
        for (index, QuotaLine { key, action, quota }) in lines.iter().enumerate() {
            let line = (key.clone(), *action);
            let used = self.used.get(&line).copied().unwrap_or_default();
            match quota.one_more(used, now) {
                Some(used) => more.push((line, used)),
                None => return Some(index),
            }
        }
        self.used.extend(more);
        self.forget(now);
        None
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

#[cfg(test)]
mod tests {
    use super::*;
    use opencpm_domain::Quota;

    #[test]
    fn keys_that_are_idle_are_forgotten() {
        let mut lines = Lines::default();
        let quota = Quota::per_minute(10).unwrap();
        for number in 0..100_000_u64 {
            let now = Timestamp::from_micros(1_800_000_000_000_000 + number * 60_000);
            let key = SecretId::parse(&number.to_string()).unwrap();
            assert_eq!(lines.take(&[QuotaLine { key, action: None, quota }], now), None);
        }
        assert!(lines.used.len() <= 2 * FEW, "{}", lines.used.len());
    }
}
