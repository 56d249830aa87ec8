//! Changes of job states, and what they change on devices, in one commit.

use std::collections::BTreeSet;

use opencpm_domain::{GatewayId, InstanceId, JobId, JobState, to_hex};
use opencpm_operations::port::StoreError;
use opencpm_operations::row::JobChange;
use serde::Serialize;

use super::device::{raise_sealing, raise_sequences};
use super::gateway::fence;
use crate::column::{number, read, time};
use crate::engine::{Outcome, When};
use crate::session::Session;
use crate::statement::{Dialect, each, json, query};

pub(crate) async fn change_fenced(
    session: &mut Session,
    changes: &[JobChange],
    gateway: Option<GatewayId>,
    when: When,
) -> Result<Outcome<Vec<JobId>>, StoreError> {
    lock_devices_of(session, changes).await?;
    if let Some(gateway) = gateway {
        fence(session, gateway, when).await?;
    }
    apply(session, changes).await.map(Outcome::Keep)
}

/// Applies the changes whose version is still the expected one, and erases what ended. Their
/// devices are held.
async fn apply(session: &mut Session, changes: &[JobChange]) -> Result<Vec<JobId>, StoreError> {
    let lines: Vec<_> = changes.iter().map(ChangeLine::new).collect();
    let update = query(each(
        "UPDATE job SET status = next.value ->> 'status', attempts = next.value ->> 'attempts',
             reason = next.value ->> 'reason', ended = next.value ->> 'ended',
             applied = next.value ->> 'applied', advice = next.value ->> 'advice',
             corrected = next.value ->> 'corrected',
             last_attempt = coalesce(next.value ->> 'attempted', last_attempt),
             report = coalesce(unhex(next.value ->> 'report'), report),
             version = job.version + 1
         FROM json_each($1) AS next
         WHERE job.id = unhex(next.value ->> 'job') AND job.version = next.value ->> 'version'
         RETURNING job.id",
        "UPDATE job SET status = next.status, attempts = next.attempts, reason = next.reason,
             ended = next.ended, applied = next.applied, advice = next.advice::text,
             corrected = next.corrected,
             last_attempt = coalesce(next.attempted, last_attempt),
             report = coalesce(decode(next.report, 'hex'), job.report),
             version = job.version + 1
         FROM json_to_recordset($1::json) AS next (
             job text, version bigint, status bigint, attempts bigint, reason bigint,
             ended bigint, applied bigint, advice json, corrected boolean, attempted bigint,
             report text)
         WHERE job.id = decode(next.job, 'hex') AND job.version = next.version
         RETURNING job.id",
    ));
    let rows = session.rows(update.bind(json(&lines)?)).await?;
    let changed: Vec<JobId> = rows.iter().map(|row| read(row, "id")).collect::<Result<_, _>>()?;
    erase_ended(session, &changed).await?;
    raise_devices(session, changes, &changed).await?;
    Ok(changed)
}

/// Devices are locked before their jobs, as an acceptance does it, and in the same order. SQLite
/// has one writer.
async fn lock_devices_of(session: &mut Session, changes: &[JobChange]) -> Result<(), StoreError> {
    if session.dialect() == Dialect::Sqlite {
        return Ok(());
    }
    let ids: Vec<_> = changes.iter().map(|change| to_hex(change.job.as_bytes())).collect();
    let lock = query(
        "SELECT count(*) FROM (
             SELECT FROM device WHERE instance IN (
                 SELECT instance FROM job WHERE id IN (
                     SELECT decode(value, 'hex')
                     FROM json_array_elements_text($1::json) AS line (value)))
             ORDER BY instance FOR NO KEY UPDATE) AS locked",
    );
    session.row(lock.bind(json(&ids)?)).await?;
    Ok(())
}

/// Applies all of the changes; false when one was not the expected version any more.
pub(crate) async fn change_all(
    session: &mut Session,
    changes: &[JobChange],
) -> Result<bool, StoreError> {
    lock_devices_of(session, changes).await?;
    Ok(apply(session, changes).await?.len() == changes.len())
}

/// Whether the device has an open job.
pub(crate) async fn has_open_job(
    session: &mut Session,
    instance: &InstanceId,
) -> Result<bool, StoreError> {
    let select = query("SELECT 1 FROM job WHERE instance = $1 AND status = 4");
    Ok(session.row(select.bind(instance.as_str())).await?.is_some())
}

async fn erase_ended(session: &mut Session, changed: &[JobId]) -> Result<(), StoreError> {
    let ids: Vec<_> = changed.iter().map(|job| to_hex(job.as_bytes())).collect();
    let delete = query(each(
        "DELETE FROM sealed WHERE job IN (
             SELECT number FROM job
             WHERE id IN (SELECT unhex(value) FROM json_each($1)) AND status <> 4)",
        "DELETE FROM sealed WHERE job IN (
             SELECT number FROM job
             WHERE id IN (SELECT decode(value, 'hex')
                          FROM json_array_elements_text($1::json) AS line (value))
               AND status <> 4)",
    ));
    if session.run(delete.bind(json(&ids)?)).await? > 0 {
        session.meter().set_remains(true);
    }
    Ok(())
}

async fn raise_devices(
    session: &mut Session,
    changes: &[JobChange],
    changed: &[JobId],
) -> Result<(), StoreError> {
    let changed: BTreeSet<_> = changed.iter().collect();
    let applied = changes.iter().filter(|change| changed.contains(&change.job));
    let progress: Vec<_> = applied.filter_map(|change| change.device.as_ref()).collect();
    raise_sequences(session, progress.iter().map(|p| (&p.instance, p.sequence))).await?;
    let sealing = progress.iter().filter_map(|p| {
        let (identity, sealing) = p.sealing.clone()?;
        Some((p.instance.clone(), identity, sealing))
    });
    raise_sealing(session, &sealing.collect::<Vec<_>>()).await
}

#[derive(Serialize)]
struct ChangeLine {
    job: String,
    version: i64,
    status: u8,
    attempts: u32,
    reason: Option<u16>,
    ended: Option<i64>,
    applied: Option<i64>,
    advice: Option<Vec<u16>>,
    corrected: bool,
    attempted: Option<i64>,
    report: Option<String>,
}

impl ChangeLine {
    fn new(change: &JobChange) -> Self {
        let mut line = Self {
            job: to_hex(change.job.as_bytes()),
            version: number(change.version),
            status: change.state.status().number(),
            attempts: change.state.attempts(),
            reason: None,
            ended: None,
            applied: None,
            advice: None,
            corrected: false,
            attempted: change.attempted.map(time),
            report: change.report.as_deref().map(to_hex),
        };
        match &change.state {
            JobState::Ready | JobState::Attempted { .. } => {}
            JobState::Succeeded { ended, applied, advice, corrected, .. } => {
                line.ended = Some(time(*ended));
                line.applied = Some(time(*applied));
                line.advice = Some(advice.iter().map(|advice| advice.number()).collect());
                line.corrected = *corrected;
            }
            JobState::Failed { ended, reason, corrected, .. } => {
                line.ended = Some(time(*ended));
                line.reason = Some(reason.number());
                line.corrected = *corrected;
            }
        }
        line
    }
}
