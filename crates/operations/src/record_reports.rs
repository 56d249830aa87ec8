//! Machines report. Signed reports are facts: whoever holds a valid lease may record them, and a
//! report that is recorded twice changes nothing.

use std::collections::{HashMap, HashSet};

use opencpm_domain::{GatewayId, InstanceId, JobId};
use opencpm_protocol::report::Report;
use opencpm_protocol::sign::Signed;

use crate::port::StoreError;
use crate::role::GatewayRole;
use crate::row::{DeviceProgress, JobChange, JobRow, Sealing};

/// A job may change between reading and writing only by a few hands: deadline, attempt, another
/// copy of the report. So a few rounds settle it; what does not settle is sent again.
const ROUNDS: usize = 4;

/// A report as an authenticated session of this device delivered it.
#[derive(Clone, Debug)]
pub struct Delivered {
    /// The session's device.
    pub instance: InstanceId,
    /// Its report.
    pub report: Signed<Report>,
}

/// Records reports, all that came together in one call. Returns the jobs whose reports need not
/// be sent again, after the commit.
pub async fn record_reports(
    role: &GatewayRole,
    gateway: GatewayId,
    delivered: Vec<Delivered>,
) -> Result<Vec<(InstanceId, JobId)>, StoreError> {
    let mut open = HashMap::new();
    for Delivered { instance, report: signed } in delivered {
        match signed.read_unverified() {
            Ok(report) if report.instance == instance => {
                open.insert((instance, report.job), (signed, report));
            }
            _ => tracing::warn!(%instance, "a report of another device was dropped"),
        }
    }
    let mut kept = Vec::new();
    for _ in 0..ROUNDS {
        if open.is_empty() {
            break;
        }
        let again = record_round(role, gateway, &open).await?;
        kept.extend(open.keys().filter(|name| !again.contains(name)).cloned());
        open.retain(|name, _| again.contains(name));
    }
    Ok(kept)
}

type Name = (InstanceId, JobId);

/// One round: reads, decides, writes. Returns those whose jobs changed in between; of the others,
/// each is recorded, or there is nothing to record.
async fn record_round(
    role: &GatewayRole,
    gateway: GatewayId,
    open: &HashMap<Name, (Signed<Report>, Report)>,
) -> Result<HashSet<Name>, StoreError> {
    let ids: Vec<JobId> = open.keys().map(|(_, job)| *job).collect();
    // A gateway's own clock may be wrong.
    let (now, rows) = role.store.jobs(&ids).await?;
    let superseded = superseded(role, &rows).await?;
    let mut strangers: HashSet<&Name> = open.keys().collect();
    let mut again = HashSet::new();
    let mut changes = Vec::new();
    for row in rows {
        let name = (row.instance, row.job);
        let Some((signed, report)) = open.get(&name) else { continue };
        if (report.sequence, report.identity_generation) != (row.sequence, row.identity_generation)
        {
            continue;
        }
        strangers.remove(&name);
        let late = superseded.contains(&row.job);
        if let Ok(state) = row.state.report(report.verdict(), late, now) {
            again.insert(name);
            changes.push(JobChange {
                job: row.job,
                version: row.version,
                state,
                attempted: None,
                report: Some(signed.to_bytes()),
                device: Some(progress(report)),
            });
        }
    }
    for (instance, job) in strangers {
        tracing::warn!(%job, %instance, "a report fits no job of its device");
    }
    if !changes.is_empty() {
        let changed = role.store.change_jobs(changes, Some(gateway)).await?;
        again.retain(|(_, job)| !changed.contains(job));
    }
    Ok(again)
}

/// Which of the jobs whose end may be corrected have a later job that was applied or may have been.
async fn superseded(role: &GatewayRole, rows: &[JobRow]) -> Result<HashSet<JobId>, StoreError> {
    let guessed = rows.iter().filter(|row| row.state.may_be_corrected());
    let late: Vec<JobId> = guessed.map(|row| row.job).collect();
    if late.is_empty() {
        return Ok(HashSet::new());
    }
    let later = role.store.later_jobs(&late).await?;
    Ok(later.iter().filter(|(_, state)| state.may_be_applied()).map(|(job, _)| *job).collect())
}

fn progress(report: &Report) -> DeviceProgress {
    let sealing = report.next_sealing.as_ref().and_then(|signed| {
        let generation = signed.read_unverified().ok()?.generation;
        let sealing = Sealing { generation, certificate: signed.to_bytes() };
        Some((report.identity_generation, sealing))
    });
    DeviceProgress { instance: report.instance.clone(), sequence: report.sequence, sealing }
}
