//! A success is answered only after the machine's signed report was checked (design section 2.2).
//!
//! The verdict stays in this process's memory, never in the store: whoever can write the store
//! may hide a success, but cannot invent one.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use opencpm_domain::{Advice, Generation, InstanceId, JobId, JobState, Reason, Refusal, Verdict};
use opencpm_protocol::report::Report;
use opencpm_protocol::sign::Signed;

use crate::authentic::check_job;
use crate::port::Keys;
use crate::refusal::store_refusal;
use crate::role::{ApiRole, Trust};
use crate::row::{DeviceKey, JobRow};

/// Above this many remembered verdicts the memory starts anew. Twice the largest task: with less,
/// each look at such a task would check it all again. About 20 MiB.
const MOST_REMEMBERED: usize = 200_000;

/// Jobs whose report this process has checked: a digest of the row that was checked, and what the
/// report says besides.
#[derive(Debug, Default)]
pub struct Proofs(Mutex<HashMap<JobId, Proof>>);

#[derive(Clone, Debug)]
struct Proof {
    row: [u8; 32],
    advice: Vec<Advice>,
}

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
    /// Other devices of the task were taken out of the store.
    #[error("the store does not have every device of the task any more")]
    Incomplete,
}

/// Checks every success among the rows. A proven one is told as the report tells it; one that is
/// not proven becomes a failure with reason `report_unverified`. One statement, whatever the
/// number of rows.
pub async fn prove_successes(role: &ApiRole, rows: Vec<JobRow>) -> Result<Vec<JobRow>, Refusal> {
    let rows = role.cores.spread(rows, |row| {
        let digest = is_success(&row).then(|| digest(&row));
        (row, digest)
    });
    let rows = rows.await?;
    let mut known = role.proofs.known(&rows);
    let unknown = rows.iter().filter(|(row, _)| is_success(row) && !known.contains_key(&row.job));
    let keys = identity_keys(role, unknown.map(|(row, _)| key_of(row)).collect()).await?;
    let items: Vec<_> = rows
        .into_iter()
        .map(|(row, digest)| {
            let (known, key) = (known.remove(&row.job), keys.get(&key_of(&row)).cloned());
            (row, digest, known, key)
        })
        .collect();
    let checker = Checker::new(role);
    let checked = role.cores.spread(items, move |(row, digest, known, key)| {
        let proof = match (digest, known) {
            (None, _) => None,
            (Some(_), Some(advice)) => Some((None, Ok(advice))),
            (Some(digest), None) => Some((Some(digest), checker.check(&row, key.as_ref()))),
        };
        (row, proof)
    });
    Ok(told(role, checked.await?))
}

/// A row, and the verdict on a success: what to remember where it is new, and the advice.
type Checked = (JobRow, Option<(Option<[u8; 32]>, Result<Vec<Advice>, ProofError>)>);

/// The rows as they are told. New proofs are remembered.
fn told(role: &ApiRole, checked: Vec<Checked>) -> Vec<JobRow> {
    let mut proven = Vec::new();
    let tell = |(mut row, verdict): Checked| {
        match verdict {
            None => {}
            Some((new, Ok(advice))) => {
                let proof = |digest| Proof { row: digest, advice: advice.clone() };
                proven.extend(new.map(|digest| (row.job, proof(digest))));
                believe(&mut row, advice);
            }
            Some((_, Err(error))) => disbelieve(&mut row, error),
        }
        row
    };
    let rows = checked.into_iter().map(tell).collect();
    role.proofs.remember(proven);
    rows
}

/// The same for all rows of a task. Where devices were taken out of it, no success is believed:
/// what is left would make the task look better than it is.
pub async fn prove_task(role: &ApiRole, rows: Vec<JobRow>) -> Result<Vec<JobRow>, Refusal> {
    let mut rows = prove_successes(role, rows).await?;
    let all = different(&rows);
    for row in rows.iter_mut().filter(|row| is_success(row)) {
        if let Err(error) = check_complete(row, all) {
            disbelieve(row, error);
        }
    }
    Ok(rows)
}

/// Checks the successes of a task anew, remembering nothing.
pub async fn verify(
    role: &ApiRole,
    rows: Vec<JobRow>,
) -> Result<Vec<(InstanceId, Result<(), ProofError>)>, Refusal> {
    let all = different(&rows);
    let successes: Vec<_> = rows.into_iter().filter(is_success).collect();
    let keys = identity_keys(role, successes.iter().map(key_of).collect()).await?;
    let checker = Checker::new(role);
    let verdict = move |row: JobRow| {
        let proven = checker.check(&row, keys.get(&key_of(&row)));
        let verdict = proven.and_then(|_| check_complete(&row, all));
        (row.instance, verdict)
    };
    role.cores.spread(successes, verdict).await
}

type KeyName = (InstanceId, Generation);

async fn identity_keys(
    role: &ApiRole,
    wanted: HashSet<KeyName>,
) -> Result<HashMap<KeyName, DeviceKey>, Refusal> {
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    let wanted: Vec<_> = wanted.into_iter().collect();
    let keys = role.store.device_keys(&wanted).await.map_err(store_refusal)?;
    Ok(keys.into_iter().map(|k| ((k.instance.clone(), k.identity.generation), k)).collect())
}

/// What a check needs of its process.
struct Checker {
    keys: Arc<dyn Keys>,
    trust: Arc<Trust>,
}

impl Checker {
    fn new(role: &ApiRole) -> Self {
        Self { keys: Arc::clone(&role.keys), trust: role.trust.now() }
    }

    /// Checks one success; the advice that its report gives.
    fn check(&self, row: &JobRow, key: Option<&DeviceKey>) -> Result<Vec<Advice>, ProofError> {
        check_job(&*self.keys, row).map_err(|_| ProofError::Row)?;
        let key = key.ok_or(ProofError::Key)?;
        self.trust.authenticity().device_key(key).map_err(|_| ProofError::Key)?;
        let kept = row.report.as_deref().ok_or(ProofError::Missing)?;
        let signed = Signed::<Report>::from_bytes(kept).map_err(|_| ProofError::Unreadable)?;
        let report = signed.verify(&key.identity.key).map_err(|_| ProofError::Signature)?;
        let fits = report.deployment == self.trust.deployment()
            && report.instance == row.instance
            && report.identity_generation == row.identity_generation
            && report.job == row.job
            && report.sequence == row.sequence;
        match (report.verdict(), &row.state) {
            (Verdict::Applied { at, advice }, JobState::Succeeded { applied, .. })
                if fits && at == *applied =>
            {
                Ok(advice)
            }
            _ => Err(ProofError::Other),
        }
    }
}

/// How many jobs these are: the store is not trusted to have each but once.
fn different(rows: &[JobRow]) -> usize {
    rows.iter().map(|row| row.job).collect::<HashSet<_>>().len()
}

/// An authentic row tells how many there must be.
fn check_complete(row: &JobRow, jobs: usize) -> Result<(), ProofError> {
    if usize::try_from(row.devices) == Ok(jobs) { Ok(()) } else { Err(ProofError::Incomplete) }
}

const fn is_success(row: &JobRow) -> bool {
    matches!(row.state, JobState::Succeeded { .. })
}

/// The identity key that a job's report must be signed with.
fn key_of(row: &JobRow) -> KeyName {
    (row.instance.clone(), row.identity_generation)
}

/// The advice is the report's, so that the store can neither hide nor invent any. That a later job
/// came in between is the server's own knowledge.
fn believe(row: &mut JobRow, reported: Vec<Advice>) {
    if let JobState::Succeeded { advice, .. } = &mut row.state {
        advice.retain(|advice| *advice == Advice::Superseded);
        advice.truncate(1);
        advice.extend(reported);
    }
}

fn disbelieve(row: &mut JobRow, error: ProofError) {
    tracing::error!(job = %row.job, instance = %row.instance, "{error}");
    if let JobState::Succeeded { attempts, ended, corrected, .. } = row.state {
        row.state =
            JobState::Failed { attempts, ended, reason: Reason::ReportUnverified, corrected };
    }
}

impl Proofs {
    /// The advice of those successes whose rows are as they were when they were checked.
    fn known(&self, rows: &[(JobRow, Option<[u8; 32]>)]) -> HashMap<JobId, Vec<Advice>> {
        let proofs = self.lock();
        let proof = |(row, digest): &(JobRow, Option<[u8; 32]>)| {
            let proof = proofs.get(&row.job).filter(|proof| Some(proof.row) == *digest)?;
            Some((row.job, proof.advice.clone()))
        };
        rows.iter().filter_map(proof).collect()
    }

    fn remember(&self, proven: Vec<(JobId, Proof)>) {
        let mut known = self.lock();
        for (job, proof) in proven {
            if known.len() >= MOST_REMEMBERED {
                known.clear();
            }
            known.insert(job, proof);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<JobId, Proof>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Everything that a verdict depends on, so that it does not outlive a change of the row.
fn digest(row: &JobRow) -> [u8; 32] {
    use sha2::{Digest, Sha256};
    let mut hash = Sha256::new();
    hash.update(row.task.get().to_le_bytes());
    hash.update(row.devices.to_le_bytes());
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
