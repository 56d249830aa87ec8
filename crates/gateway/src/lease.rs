//! The lease: who holds it may record and deliver, and its devices are alive.

use std::sync::Arc;
use std::time::Duration;

use opencpm_domain::GatewayId;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use crate::operations::Operations;
use crate::term::Term;

/// From one request for a lease to the next, in tenths of its length: room for two that fail.
const RENEWAL: u32 = 3;

/// Takes a lease under a new id, as long as it takes. Returns the id and when it was asked for:
/// from then on the lease is counted, never from the answer.
pub(crate) async fn take(operations: &dyn Operations) -> (GatewayId, Instant) {
    let lease = operations.lease();
    loop {
        let [a, _] = halves(operations.random());
        let (id, asked) = (GatewayId::from_bytes(a), Instant::now());
        match timeout_at(asked + lease, operations.renew_lease(id)).await {
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
        sleep(renewal(lease).min(LONGEST_PAUSE)).await;
    }
}

/// Agents wait at the door meanwhile.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// Renews the lease until it is lost; then the term is over. Judged by the monotonic clock and
/// from the last request that succeeded: so the process stops before the store thinks it has. An
/// answer that comes after that is not believed, whatever it says.
pub(crate) async fn keep(term: Arc<Term>, operations: Arc<dyn Operations>, taken: Instant) {
    let lease = operations.lease();
    let mut valid_until = taken + lease;
    let mut next = taken + renewal(lease);
    loop {
        sleep_until(next.min(valid_until)).await;
        let asked = Instant::now();
        match timeout_at(valid_until, operations.renew_lease(term.id)).await {
            // After a slow answer the next request is due at once.
            Ok(Ok(true)) => (valid_until, next) = (asked + lease, asked + renewal(lease)),
            Ok(Err(error)) if asked < valid_until => {
                next = Instant::now() + renewal(lease) / 4;
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

fn renewal(lease: Duration) -> Duration {
    lease * RENEWAL / 10
}

fn halves(bytes: [u8; 32]) -> [[u8; 16]; 2] {
    let (a, b) = bytes.split_at(16);
    [a, b].map(|half| half.try_into().unwrap_or_default())
}
