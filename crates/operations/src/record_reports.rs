//! Machines report. Signed reports are facts: whoever holds a valid lease may record them, and a
//! report that is recorded twice changes nothing.

use std::collections::{HashMap, HashSet};

use opencpm_domain::{Certainty, GatewayId, InstanceId, JobId, JobState};
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
    let mut open: HashMap<JobId, (Delivered, Report)> = HashMap::new();
    for item in delivered {
        match item.report.read_unverified() {
            Ok(report) if report.instance == item.instance => {
                open.insert(report.job, (item, report));
            }
            _ => {
                tracing::warn!(instance = %item.instance, "a report of another device was dropped")
            }
        }
    }
    let mut kept = Vec::new();
    for _ in 0..ROUNDS {
        if open.is_empty() {
            break;
        }
        let settled = record_round(role, gateway, &open).await?;
        kept.extend(settled.iter().map(|job| (open[job].1.instance.clone(), *job)));
        open.retain(|job, _| !settled.contains(job));
    }
    Ok(kept)
}

/// One round: reads, decides, writes. Returns what is settled: recorded, or nothing to record.
async fn record_round(
    role: &GatewayRole,
    gateway: GatewayId,
    open: &HashMap<JobId, (Delivered, Report)>,
) -> Result<HashSet<JobId>, StoreError> {
    let ids: Vec<JobId> = open.keys().copied().collect();
    let rows = role.store.jobs(&ids).await?;
    let superseded = superseded(role, &rows).await?;
    let mut settled: HashSet<JobId> = ids.into_iter().collect();
    let mut changes = Vec::new();
    for row in rows {
        let Some((item, report)) = open.get(&row.job) else { continue };
        if !belongs(report, &row) {
            tracing::warn!(job = %row.job, instance = %row.instance, "a report does not fit its job");
            continue;
        }
        let late = superseded.contains(&row.job);
        if let Ok(state) = row.state.report(report.verdict(), late, role.clock.now()) {
            settled.remove(&row.job);
            changes.push(JobChange {
                job: row.job,
                version: row.version,
                state,
                attempted: None,
                report: Some(item.report.to_bytes()),
                device: Some(progress(report)),
            });
        }
    }
    if !changes.is_empty() {
        settled.extend(role.store.change_jobs(changes, Some(gateway)).await?);
    }
    Ok(settled)
}

fn belongs(report: &Report, row: &JobRow) -> bool {
    report.instance == row.instance
        && report.sequence == row.sequence
        && report.identity_generation == row.identity_generation
}

/// Which of the ended jobs have a later job that was applied or may have been.
async fn superseded(role: &GatewayRole, rows: &[JobRow]) -> Result<HashSet<JobId>, StoreError> {
    let ended = rows.iter().filter(|row| !row.state.is_open());
    let late: Vec<JobId> = ended.map(|row| row.job).collect();
    if late.is_empty() {
        return Ok(HashSet::new());
    }
    let later = role.store.later_jobs(&late).await?;
    let may_be_applied = |state: &JobState| match state {
        JobState::Ready => false,
        JobState::Attempted { .. } | JobState::Succeeded { .. } => true,
        JobState::Failed { reason, .. } => reason.certainty() == Certainty::Unknown,
    };
    Ok(later.iter().filter(|(_, state)| may_be_applied(state)).map(|(job, _)| *job).collect())
}

fn progress(report: &Report) -> DeviceProgress {
    let sealing = report.next_sealing.as_ref().and_then(|signed| {
        let generation = signed.read_unverified().ok()?.generation;
        let sealing = Sealing { generation, certificate: signed.to_bytes() };
        Some((report.identity_generation, sealing))
    });
    DeviceProgress { instance: report.instance.clone(), sequence: report.sequence, sealing }
}
