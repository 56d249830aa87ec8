//! Those who talk to the store for all sessions of a term. While one call is under way, what is
//! asked for meanwhile becomes the next one: few calls under load, no delay without.

pub(crate) mod bind;
pub(crate) mod deliver;
pub(crate) mod recognise;
pub(crate) mod record;
pub(crate) mod unbind;

use std::time::Duration;

use opencpm_operations::port::StoreError;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::term::Term;

/// Values in one call at most.
pub(crate) const LARGEST: usize = 1_000;

/// What came in since the last call, as one batch.
pub(crate) struct Batches<T> {
    receiver: UnboundedReceiver<T>,
    stop: CancellationToken,
}

impl<T> Batches<T> {
    /// Batches until `stop`; what was sent by then still comes.
    pub(crate) fn new(receiver: UnboundedReceiver<T>, stop: CancellationToken) -> Self {
        Self { receiver, stop }
    }

    /// The next batch, never empty; `None` at the end. Cancel safe.
    pub(crate) async fn next(&mut self) -> Option<Vec<T>> {
        let mut batch = Vec::new();
        tokio::select! {
            biased;
            _ = self.receiver.recv_many(&mut batch, LARGEST) => {}
            () = self.stop.cancelled() => {
                self.receiver.close();
                self.receiver.recv_many(&mut batch, LARGEST).await;
            }
        }
        if batch.is_empty() { None } else { Some(batch) }
    }
}

/// Asks again while the store is not available; `None` when the term is over, or the store
/// refuses for good.
async fn persist<T, F>(term: &Term, what: &'static str, mut ask: impl FnMut() -> F) -> Option<T>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let mut pause = Duration::from_millis(100);
    loop {
        let answer = term.over.run_until_cancelled(ask()).await?;
        let error = match answer {
            Ok(answer) => return Some(answer),
            Err(error) => error,
        };
        term.refused(what, &error);
        if !matches!(error, StoreError::Unavailable(_)) {
            return None;
        }
        term.over.run_until_cancelled(sleep(pause)).await?;
        pause = (pause * 2).min(Duration::from_secs(2));
    }
}
