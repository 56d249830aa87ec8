//! What time does, asked for again and again: jobs end at their deadline, what ended jobs left is
//! overwritten, old tasks, replay records, expired keys and gateways are forgotten. Asking is
//! harmless, however often.

use std::sync::Arc;
use std::time::Duration;

use opencpm_domain::Span;
use opencpm_operations::port::{Store, StoreError};
use opencpm_operations::reload_trust::reload_trust;
use opencpm_operations::role::LiveTrust;
use opencpm_operations::sweep;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use crate::output;

/// A job ends within 5 s of its deadline (design section 2.3).
const DEADLINES: Duration = Duration::from_secs(1);
/// Nothing of an ended job is left after 60 s, also when one round is not enough.
const SCRUB: Duration = Duration::from_secs(10);
/// Nobody waits for this one.
const REPLAYS: Duration = Duration::from_secs(60);

/// Gateways and expired keys are forgotten after a day.
const GATEWAYS: Duration = Duration::from_secs(3_600);
const KEYS: Duration = GATEWAYS;

/// Tasks are forgotten after months. Between two rounds the store belongs to the requests: a
/// million jobs take a few minutes.
const TASKS: Duration = Duration::from_secs(600);
const TASKS_PAUSE: Duration = Duration::from_millis(100);

/// Long before anybody needs it.
const STATEMENT: Duration = Duration::from_secs(30);

/// Starts the sweeps; they end with the token. Tasks are `kept` so long.
pub(super) fn start(
    tasks: &mut JoinSet<()>,
    store: &Arc<dyn Store>,
    trust: &Arc<LiveTrust>,
    kept: Span,
    stop: &CancellationToken,
) {
    let mut every = |period, what| {
        let sweep = Sweep { what, store: Arc::clone(store) };
        let stop = stop.clone();
        tasks.spawn(async move {
            stop.run_until_cancelled(sweep.run(period)).await;
        });
    };
    every(DEADLINES, What::Deadlines);
    every(SCRUB, What::Scrub);
    every(REPLAYS, What::Replays);
    every(GATEWAYS, What::Gateways);
    every(KEYS, What::Keys);
    every(TASKS, What::Tasks { kept });
    let (store, trust, stop) = (Arc::clone(store), Arc::clone(trust), stop.clone());
    tasks.spawn(async move {
        stop.run_until_cancelled(reload(store, trust)).await;
    });
}

/// A statement that was renewed at one node reaches the others.
async fn reload(store: Arc<dyn Store>, trust: Arc<LiveTrust>) {
    loop {
        sleep(STATEMENT).await;
        match reload_trust(&*store, &trust).await {
            Ok(true) => tracing::info!("a newer trust statement is in force"),
            Ok(false) => {}
            Err(error) => {
                let error = output::chain(&error);
                tracing::warn!(error, "the trust statement could not be read again");
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum What {
    Deadlines,
    Scrub,
    Replays,
    Gateways,
    Keys,
    Tasks { kept: Span },
}

struct Sweep {
    what: What,
    store: Arc<dyn Store>,
}

impl Sweep {
    async fn run(self, period: Duration) {
        let mut ticks = interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Err(error) = self.all().await {
                let (what, error) = (self.what, output::chain(&error));
                tracing::warn!(?what, error, "a sweep failed and will be repeated");
            }
        }
    }

    /// Rounds until nothing is left to do.
    async fn all(&self) -> Result<(), StoreError> {
        while self.round().await? > 0 {}
        Ok(())
    }

    async fn round(&self) -> Result<u64, StoreError> {
        match self.what {
            What::Deadlines => {
                let ended = sweep::end_overdue_jobs(&*self.store).await?;
                Ok(ended as u64)
            }
            // What is left now is tried again with the next tick: a reader may be in the way.
            What::Scrub => sweep::scrub(&*self.store).await.map(|_| 0),
            What::Replays => sweep::forget_replays(&*self.store).await,
            What::Gateways => sweep::forget_gateways(&*self.store).await,
            What::Keys => sweep::forget_keys(&*self.store).await,
            What::Tasks { kept } => {
                let rows = sweep::forget_tasks(&*self.store, kept).await?;
                sleep(TASKS_PAUSE).await;
                Ok(rows)
            }
        }
    }
}
