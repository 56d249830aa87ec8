use async_trait::async_trait;
use opencpm_domain::{Quota, SecretId, Timestamp};

use crate::port::StoreError;

/// Remembers what each key has used of its quotas, for as long as it matters: a minute.
#[async_trait]
pub trait QuotaLedger: Send + Sync {
    /// Takes one request from each of the lines, or from none of them: then the index of the first
    /// one that is used up. `now` is this node's time; a ledger that several nodes share goes by
    /// its own.
    async fn take(&self, lines: &[QuotaLine], now: Timestamp) -> Result<Option<usize>, StoreError>;
}

/// A key, an action or all of them together, and how many requests are allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaLine {
    /// Whose.
    pub key: SecretId,
    /// For what, by its API 2.0 name; `None` for everything together.
    pub action: Option<&'static str>,
    /// How much.
    pub quota: Quota,
}
