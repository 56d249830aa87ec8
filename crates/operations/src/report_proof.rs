//! A success is answered only after the machine's signed report was checked (design section 2.2).
//!
//! The verdict stays in this process's memory, never in the store: whoever can write the store
//! may hide a success, but cannot invent one.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use opencpm_domain::{Generation, InstanceId, JobId, JobState, Reason};
use opencpm_protocol::report::Report;
use opencpm_protocol::sign::Signed;

use crate::authentic::{job_mac, same};
use crate::port::StoreError;
use crate::role::ApiRole;
use crate::row::{DeviceKey, JobRow};

/// Above this many remembered verdicts the memory starts anew. Twice the largest task: with less,
/// each look at such a task would check it all again. About 13 MiB.
const MOST_REMEMBERED: usize = 200_000;

/// So many signatures are checked at a stretch: some milliseconds.
const PROOFS_AT_A_TIME: usize = 64;

type KeyOf = (InstanceId, Generation);

/// Jobs whose report this process has checked, with the version of the row that was checked.
#[derive(Debug, Default)]
pub struct Proofs(Mutex<HashMap<JobId, [u8; 32]>>);

/// What is wrong with the proof of a success.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// No report is kept.
    #[error("no signed report is kept")]
    Missing,
    /// It cannot be read.
    #[error("the kept report cannot be read")]
    Unreadable,
    /// The job's row was made by somebody else, or moved to another task.
    #[error("the job's row in the store is not authentic: it was changed or moved")]
    Row,
    /// The identity key of that generation is unknown or not authentic.
    #[error("the identity key of the job's generation is unknown or not authentic")]
    Key,
    /// The signature is wrong.
    #[error("the report's signature is wrong")]
    Signature,
    /// It speaks of another job, device or outcome.
    #[error("the report speaks of another job, device or outcome")]
    Other,
}

/// Checks every success among the rows; one that is not proven becomes a failure with reason
/// `report_unverified`. One statement, whatever the number of rows.
pub async fn prove_successes(role: &ApiRole, rows: &mut [JobRow]) -> Result<(), StoreError> {
    let unproven = role.proofs.unproven(rows);
    if unproven.is_empty() {
        return Ok(());
    }
    let keys = keys_of(role, rows.iter().filter(|row| unproven.contains(&row.job))).await?;
    let unproven = rows.iter_mut().filter(|row| unproven.contains(&row.job));
    for (count, row) in unproven.enumerate() {
        pause(count).await;
        match check(role, row, keys.get(&key_of(row))) {
            Ok(()) => role.proofs.remember(row),
            Err(error) => {
                tracing::error!(job = %row.job, instance = %row.instance, "{error}");
                disbelieve(row);
            }
        }
    }
    Ok(())
}

/// Checks one success, for the command that verifies a task. `Ok` for jobs that claim none.
pub(crate) fn check(
    role: &ApiRole,
    row: &JobRow,
    key: Option<&DeviceKey>,
) -> Result<(), ProofError> {
    let JobState::Succeeded { applied, .. } = &row.state else { return Ok(()) };
    let mac = job_mac(&*role.keys, row.task, row.job, &row.instance, row.sequence);
    same(&mac, &row.mac, "job").map_err(|_| ProofError::Row)?;
    let key = key.ok_or(ProofError::Key)?;
    role.trust.authenticity().device_key(key).map_err(|_| ProofError::Key)?;
    let kept = row.report.as_deref().ok_or(ProofError::Missing)?;
    let signed = Signed::<Report>::from_bytes(kept).map_err(|_| ProofError::Unreadable)?;
    let report = signed.verify(&key.identity.key).map_err(|_| ProofError::Signature)?;
    let fits = report.deployment == role.trust.deployment()
        && report.instance == row.instance
        && report.identity_generation == row.identity_generation
        && report.job == row.job
        && report.sequence == row.sequence
        && report.applied
        && report.at == *applied;
    if fits { Ok(()) } else { Err(ProofError::Other) }
}

/// The identity keys of these jobs, each once. One statement.
pub(crate) async fn keys_of(
    role: &ApiRole,
    rows: impl Iterator<Item = &JobRow>,
) -> Result<HashMap<KeyOf, DeviceKey>, StoreError> {
    let wanted: HashSet<_> = rows.map(key_of).collect();
    let keys = role.store.device_keys(&Vec::from_iter(wanted)).await?;
    Ok(keys.into_iter().map(|k| ((k.instance.clone(), k.identity.generation), k)).collect())
}

/// The identity key that a job's report must be signed with.
pub(crate) fn key_of(row: &JobRow) -> KeyOf {
    (row.instance.clone(), row.identity_generation)
}

/// Lets others have their turn now and then: a hundred thousand proofs take seconds.
pub(crate) async fn pause(proofs: usize) {
    if proofs % PROOFS_AT_A_TIME == PROOFS_AT_A_TIME - 1 {
        tokio::task::yield_now().await;
    }
}

fn disbelieve(row: &mut JobRow) {
    if let JobState::Succeeded { attempts, ended, corrected, .. } = row.state {
        row.state =
            JobState::Failed { attempts, ended, reason: Reason::ReportUnverified, corrected };
    }
}

impl Proofs {
    fn unproven(&self, rows: &[JobRow]) -> HashSet<JobId> {
        let known = self.lock();
        let succeeded = rows.iter().filter(|r| matches!(r.state, JobState::Succeeded { .. }));
        let unproven = succeeded.filter(|row| known.get(&row.job) != Some(&digest(row)));
        unproven.map(|row| row.job).collect()
    }

    fn remember(&self, row: &JobRow) {
        let mut known = self.lock();
        if known.len() >= MOST_REMEMBERED {
            known.clear();
        }
        known.insert(row.job, digest(row));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<JobId, [u8; 32]>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Everything that a verdict depends on, so that it does not outlive a change of the row.
fn digest(row: &JobRow) -> [u8; 32] {
    use sha2::{Digest, Sha256};
    let mut hash = Sha256::new();
    hash.update(row.task.get().to_le_bytes());
    hash.update(row.sequence.get().to_le_bytes());
    hash.update(row.identity_generation.get().to_le_bytes());
    hash.update(row.mac);
    if let JobState::Succeeded { applied, .. } = &row.state {
        hash.update(applied.as_micros().to_le_bytes());
    }
    hash.update(row.report.as_deref().unwrap_or_default());
    hash.update(row.instance.as_str());
    hash.finalize().into()
}
