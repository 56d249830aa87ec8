use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

use opencpm_domain::{Generation, InstanceId, JobId};
use opencpm_operations::record_reports::Delivered;
use opencpm_operations::record_sealing_keys::NewSealingKey;
use opencpm_protocol::message::Farewell;

use super::{Batches, persist};
use crate::line::{Command, Kept};
use crate::operations::Operations;
use crate::term::{Sent, Term};

/// Records reports, and has them acknowledged after the commit.
pub(crate) async fn reports(
    term: Arc<Term>,
    operations: Arc<dyn Operations>,
    mut batches: Batches<Sent<Delivered>>,
) {
    while let Some(batch) = batches.next().await {
        let record = || operations.record_reports(term.id, facts(&batch));
        let kept = persist(&term, "reports", record).await;
        settle(batch, kept, job);
    }
}

/// Records sealing keys, and has them acknowledged after the commit.
pub(crate) async fn sealing_keys(
    term: Arc<Term>,
    operations: Arc<dyn Operations>,
    mut batches: Batches<Sent<NewSealingKey>>,
) {
    while let Some(batch) = batches.next().await {
        let record = || operations.record_sealing_keys(term.id, facts(&batch));
        let kept = persist(&term, "sealing keys", record).await;
        settle(batch, kept, generation);
    }
}

fn facts<T: Clone>(batch: &[Sent<T>]) -> Vec<T> {
    batch.iter().map(|sent| sent.what.clone()).collect()
}

/// Which job a report is about. The conversation has verified it already.
fn job(sent: &Delivered) -> Option<((InstanceId, JobId), Kept)> {
    let job = sent.report.read_unverified().ok()?.job;
    Some(((sent.instance.clone(), job), Kept::Report(job)))
}

/// Which sealing key was sent. The conversation has verified it already.
fn generation(sent: &NewSealingKey) -> Option<((InstanceId, Generation), Kept)> {
    let generation = sent.certificate.read_unverified().ok()?.generation;
    Some(((sent.instance.clone(), generation), Kept::SealingKey(generation)))
}

/// Tells each session. Without an answer of the store, the agent is sent away, to say it all
/// again to whoever can record it.
fn settle<T, K: Eq + Hash>(
    batch: Vec<Sent<T>>,
    kept: Option<Vec<K>>,
    name: impl Fn(&T) -> Option<(K, Kept)>,
) {
    let kept: Option<HashSet<K>> = kept.map(HashSet::from_iter);
    for Sent { line, what } in batch {
        line.tell(match &kept {
            Some(kept) => {
                let named = name(&what).filter(|(key, _)| kept.contains(key));
                Command::Settled(named.map(|(_, kept)| kept))
            }
            None => Command::Dismiss(Farewell::Unavailable),
        });
    }
}
