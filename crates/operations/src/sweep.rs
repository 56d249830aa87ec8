//! What time does: jobs end at their deadline, erased bytes are overwritten, old tasks, old replay
//! records, expired keys and old gateways are forgotten. Any number of processes may sweep; asking
//! again is harmless. What is due is judged by the store's clock, never by this process's own: one
//! node whose clock is ahead must not end what all others still count on.

use opencpm_domain::{Ending, Span};

use crate::port::{Store, StoreError};
use crate::row::JobChange;

/// At most so many rows in one transaction.
const ROUND: u32 = 2_000;

/// The same where there may be millions, and requests come in between.
const SMALL_ROUND: u32 = 500;

/// Ends jobs whose deadline has come. Returns how many; call again while it is not 0.
pub async fn end_overdue_jobs(store: &dyn Store) -> Result<usize, StoreError> {
    let (now, overdue) = store.overdue_jobs(ROUND).await?;
    let end = |row: crate::row::JobRow| {
        let state = row.state.end_unreported(Ending::Deadline, now).ok()?;
        Some(ending(row.job, row.version, state))
    };
    let changes: Vec<JobChange> = overdue.into_iter().filter_map(end).collect();
    if changes.is_empty() {
        return Ok(0);
    }
    Ok(store.change_jobs(changes, None).await?.len())
}

/// Overwrites what ended jobs left behind. To be called often enough that nothing stays 60 s.
pub async fn scrub(store: &dyn Store) -> Result<bool, StoreError> {
    store.scrub().await
}

/// Forgets tasks that were accepted so long ago, with their jobs and so their part of the log. A
/// few rows at a time, because this goes on beside the service. Call again while it is not 0.
pub async fn forget_tasks(store: &dyn Store, kept: Span) -> Result<u64, StoreError> {
    store.prune_tasks(kept, SMALL_ROUND).await
}

/// Forgets replay records that no clock window covers any more. Call again while it is not 0.
pub async fn forget_replays(store: &dyn Store) -> Result<u64, StoreError> {
    store.prune_replay(ROUND).await
}

/// Forgets gateways whose lease ended a day ago and that no device is bound to: each start of a
/// process makes one. A day is far longer than any process believes in a lease that it does not
/// renew. Call again while it is not 0.
pub async fn forget_gateways(store: &dyn Store) -> Result<u64, StoreError> {
    store.prune_gateways(Span::from_secs(86_400), ROUND).await
}

/// Forgets temporary keys that expired a day ago: until then the list of keys still shows them.
/// Call again while it is not 0.
pub async fn forget_keys(store: &dyn Store) -> Result<u64, StoreError> {
    store.prune_api_keys(Span::from_secs(86_400), ROUND).await
}

/// A change that ends a job without a report.
pub(crate) fn ending(
    job: opencpm_domain::JobId,
    version: u64,
    state: opencpm_domain::JobState,
) -> JobChange {
    JobChange { job, version, state, attempted: None, report: None, device: None }
}
