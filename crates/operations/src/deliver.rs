//! Jobs leave for their machines. The attempt is committed before a frame may be sent.

use std::collections::HashMap;

use opencpm_domain::{GatewayId, InstanceId, JobId};
use opencpm_protocol::message::JobFrame;

use crate::port::{Deliverable, StoreError};
use crate::role::GatewayRole;
use crate::row::{JobChange, JobRow};

/// At most so many jobs are read and marked at once; the rest follows in the next round.
const ROUND: u32 = 5_000;

/// A frame that may be sent now.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// To which device.
    pub instance: InstanceId,
    /// Over which of its connections.
    pub epoch: u64,
    /// The frame.
    pub frame: JobFrame,
}

/// Commits an attempt for each open job that is asked for and whose device is bound to this
/// gateway, and returns their frames.
pub async fn deliver(
    role: &GatewayRole,
    gateway: GatewayId,
    what: Deliverable,
) -> Result<Vec<Delivery>, StoreError> {
    // By the store's clock: a gateway's own may be wrong.
    let (now, found) = role.store.deliverable_jobs(gateway, what, ROUND).await?;
    let mut changes = Vec::with_capacity(found.len());
    let mut frames = HashMap::<JobId, Delivery>::with_capacity(found.len());
    for deliverable in found {
        let (row, epoch) = (deliverable.job, deliverable.epoch);
        if row.state.is_too_late_to_send(row.not_after, now) {
            continue;
        }
        let (version, attempt) = (row.version, row.state.clone().attempt());
        let (Ok(state), Some(delivery)) = (attempt, delivery(row, epoch)) else { continue };
        let job = delivery.frame.job;
        changes.push(JobChange {
            job,
            version,
            state,
            attempted: Some(now),
            report: None,
            device: None,
        });
        frames.insert(job, delivery);
    }
    if changes.is_empty() {
        return Ok(Vec::new());
    }
    let marked = role.store.change_jobs(changes, Some(gateway)).await?;
    Ok(marked.iter().filter_map(|job| frames.remove(job)).collect())
}

fn delivery(row: JobRow, epoch: u64) -> Option<Delivery> {
    let frame = JobFrame {
        job: row.job,
        sequence: row.sequence,
        identity_generation: row.identity_generation,
        sealing_generation: row.sealing_generation,
        verb: row.verb.number(),
        issued_at: row.issued_at,
        not_after: row.not_after,
        authority: row.authority,
        sealed: row.sealed?,
    };
    Some(Delivery { instance: row.instance, epoch, frame })
}
