//! The lease: who holds it may record and deliver, and its devices are alive.

use std::sync::Arc;

use opencpm_domain::GatewayId;
use tokio::time::{Instant, sleep, timeout_at};

use crate::config::Config;
use crate::operations::Operations;
use crate::term::Term;

/// Takes a lease under a new id, as long as it takes. Returns the id and when it was asked for:
/// from then on the lease is counted, never from the answer.
pub(crate) async fn take(operations: &dyn Operations, config: &Config) -> (GatewayId, Instant) {
    loop {
        let [a, _] = halves(operations.random());
        let (id, asked) = (GatewayId::from_bytes(a), Instant::now());
        match timeout_at(asked + config.lease, operations.renew_lease(id)).await {
            Ok(Ok(true)) => return (id, asked),
            Ok(Ok(false)) => tracing::warn!("the store gives no lease"),
            Ok(Err(error)) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the store gives no lease"
                );
            }
            Err(_) => tracing::warn!("the store does not answer"),
        }
        sleep(config.renewal).await;
    }
}

/// Renews the lease until it is lost; then the term is over. Judged by the monotonic clock and
/// from the last request that succeeded: so the process stops before the store thinks it has.
pub(crate) async fn keep(
    term: Arc<Term>,
    operations: Arc<dyn Operations>,
    config: Config,
    taken: Instant,
) {
    let mut valid_until = taken + config.lease;
    let mut pause = config.renewal;
    loop {
        sleep(pause.min(valid_until.saturating_duration_since(Instant::now()))).await;
        let asked = Instant::now();
        match timeout_at(valid_until, operations.renew_lease(term.id)).await {
            Ok(Ok(true)) => (valid_until, pause) = (asked + config.lease, config.renewal),
            Ok(Err(error)) if asked < valid_until => {
                pause = config.renewal / 4;
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the lease was not renewed"
                );
            }
            _ => break,
        }
    }
    tracing::warn!(gateway = %term.id, "the lease has ended");
    term.over.cancel();
}

fn halves(bytes: [u8; 32]) -> [[u8; 16]; 2] {
    let (a, b) = bytes.split_at(16);
    [a, b].map(|half| half.try_into().unwrap_or_default())
}
