use std::sync::Arc;
use std::time::Duration;

use opencpm_domain::{InstanceId, JobId, Span};
use opencpm_operations::port::{Deliverable, Subscription};
use tokio::time::{Interval, MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use super::{Batches, LARGEST};
use crate::config::Config;
use crate::operations::Operations;
use crate::term::Term;

/// Before the queue is asked again.
const PAUSE: Duration = Duration::from_secs(1);

/// Delivers jobs: those that the queue names, those of devices that just connected, and those
/// that a sweep finds.
pub(crate) async fn run(
    term: Arc<Term>,
    operations: Arc<dyn Operations>,
    arrivals: Batches<InstanceId>,
    config: Config,
    stop: CancellationToken,
) {
    let mut sweep = interval(config.sweep);
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let redelivery =
        Span::from_micros(u64::try_from(config.redelivery.as_micros()).unwrap_or(u64::MAX));
    let mut desk = Desk { subscription: None, arrivals, sweep, redelivery };
    while let Some(wanted) = stop.run_until_cancelled(desk.next(&term, &*operations)).await {
        for which in portions(wanted) {
            deliver(&term, &*operations, which).await;
        }
    }
}

/// Where the wishes come from.
struct Desk {
    subscription: Option<Box<dyn Subscription>>,
    arrivals: Batches<InstanceId>,
    sweep: Interval,
    redelivery: Span,
}

impl Desk {
    async fn next(&mut self, term: &Term, operations: &dyn Operations) -> Deliverable {
        loop {
            tokio::select! {
                jobs = ready(&mut self.subscription, term, operations) => match jobs {
                    Some(jobs) => return Deliverable::Jobs(jobs),
                    None => self.subscription = None,
                },
                Some(devices) = self.arrivals.next() => return Deliverable::Devices(devices),
                _ = self.sweep.tick() => {
                    return Deliverable::NotAttemptedFor(self.redelivery);
                }
            }
        }
    }
}

/// The queue's next jobs; subscribes first where that was not possible yet. `None` when the queue
/// is closed. Meanwhile the sweep finds the jobs.
async fn ready(
    subscription: &mut Option<Box<dyn Subscription>>,
    term: &Term,
    operations: &dyn Operations,
) -> Option<Vec<JobId>> {
    if subscription.is_none() {
        match operations.subscribe(term.id).await {
            Ok(subscribed) => *subscription = Some(subscribed),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the queue refuses");
            }
        }
    }
    let jobs = match subscription {
        Some(subscription) => subscription.next().await,
        None => None,
    };
    if jobs.is_none() {
        sleep(PAUSE).await;
    }
    jobs
}

async fn deliver(term: &Term, operations: &dyn Operations, which: Deliverable) {
    match operations.deliver(term.id, which).await {
        Ok(deliveries) => deliveries.into_iter().for_each(|d| term.registry.deliver(d)),
        Err(error) => term.refused("deliveries", &error),
    }
}

/// The queue may name many jobs at once.
fn portions(wanted: Deliverable) -> Vec<Deliverable> {
    match wanted {
        Deliverable::Jobs(jobs) => {
            jobs.chunks(LARGEST).map(|some| Deliverable::Jobs(some.to_vec())).collect()
        }
        other => vec![other],
    }
}
