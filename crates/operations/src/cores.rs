//! Heavy work for many devices: bounded, spread over the cores, outside any transaction.

use std::num::NonZeroUsize;
use std::sync::Arc;

use opencpm_domain::{Condition, Refusal};
use tokio::sync::Semaphore;

/// Fewer items than this are worked on where the request is handled: handing them on costs more.
const WORTH_SPREADING: usize = 8;

/// So many items are worked on at a stretch, some tens of milliseconds. Then another request may
/// have its turn.
const STRETCH: usize = 256;

/// As much heavy work at once as there are cores, whatever the number of requests: it must not
/// take every thread that the process has for blocking work. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Cores(Arc<Semaphore>);

impl Default for Cores {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self(Arc::new(Semaphore::new(cores)))
    }
}

impl Cores {
    /// Does the work for each item; the results are in the items' order. Refused only when the
    /// work panics.
    pub(crate) async fn spread<T, R>(
        &self,
        items: Vec<T>,
        work: impl Fn(T) -> R + Send + Sync + 'static,
    ) -> Result<Vec<R>, Refusal>
    where
        T: Send + 'static,
        R: Send + 'static,
    {
        if items.len() < WORTH_SPREADING {
            return Ok(items.into_iter().map(work).collect());
        }
        let bug = || Refusal::from(Condition::ServerBug);
        let work = Arc::new(work);
        let mut results = Vec::with_capacity(items.len());
        let mut stretches = Vec::new();
        let mut items = items.into_iter();
        loop {
            let stretch: Vec<_> = items.by_ref().take(STRETCH).collect();
            if stretch.is_empty() {
                break;
            }
            let core = Arc::clone(&self.0).acquire_owned().await.map_err(|_| bug())?;
            let work = Arc::clone(&work);
            stretches.push(tokio::task::spawn_blocking(move || {
                let _core = core;
                stretch.into_iter().map(|item| work(item)).collect::<Vec<_>>()
            }));
        }
        for stretch in stretches {
            results.extend(stretch.await.map_err(|_| bug())?);
        }
        Ok(results)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn results_come_in_the_items_order() {
        for count in [0, 1, 7, 8, STRETCH, 3 * STRETCH + 1] {
            let doubled = Cores::default().spread((0..count).collect(), |n| 2 * n).await.unwrap();
            assert_eq!(doubled, (0..count).map(|n| 2 * n).collect::<Vec<_>>());
        }
    }

    #[tokio::test]
    async fn a_defect_in_the_work_is_answered() {
        let work = |n: usize| assert!(n < STRETCH, "a defect");
        let refused = Cores::default().spread((0..=STRETCH).collect(), work).await.unwrap_err();
        assert_eq!(refused.condition, Condition::ServerBug);
    }
}
