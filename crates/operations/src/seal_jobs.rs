//! Sealing one password to many devices: bounded, spread over the cores, outside any transaction.

use std::num::NonZeroUsize;
use std::sync::Arc;

use opencpm_domain::{AppId, Condition, JobId, Password, Refusal, TaskId, Timestamp};
use opencpm_protocol::seal::{SealContext, Verb};
use tokio::sync::Semaphore;

use crate::authentic::{JobOrigin, job_mac};
use crate::port::{Keys, KeysError, Random};
use crate::refusal::keys_refusal;
use crate::reset_check::ResetTarget;
use crate::row::{Expected, NewJob};

/// Fewer devices than this are sealed where the request is handled: handing them on costs more.
const WORTH_SPREADING: usize = 8;

/// As many seals at once as there are cores, whatever the number of requests: sealing must not
/// take every thread that the process has for blocking work. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SealingSlots {
    cores: usize,
    free: Arc<Semaphore>,
}

impl Default for SealingSlots {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self { cores, free: Arc::new(Semaphore::new(cores)) }
    }
}

/// What all jobs of a task have in common.
pub(crate) struct Batch {
    pub(crate) keys: Arc<dyn Keys>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) password: Password,
    pub(crate) account: AppId,
    /// How many devices the task has.
    pub(crate) devices: u32,
    pub(crate) issued_at: Timestamp,
    pub(crate) not_after: Timestamp,
}

/// Seals the password to each target, in order.
pub(crate) async fn seal_jobs(
    slots: &SealingSlots,
    batch: &Arc<Batch>,
    task: TaskId,
    targets: Vec<ResetTarget>,
) -> Result<Vec<NewJob>, Refusal> {
    if targets.len() < WORTH_SPREADING {
        return targets.iter().map(|t| batch.seal(task, t).map_err(keys_refusal)).collect();
    }
    let share = targets.len().div_ceil(slots.cores);
    let mut parts = Vec::with_capacity(slots.cores);
    let mut targets = targets.into_iter();
    loop {
        let part: Vec<_> = targets.by_ref().take(share).collect();
        if part.is_empty() {
            break;
        }
        let batch = Arc::clone(batch);
        let slot = Arc::clone(&slots.free).acquire_owned().await;
        let slot = slot.map_err(|_| Refusal::from(Condition::ServerBug))?;
        parts.push(tokio::task::spawn_blocking(move || {
            let _slot = slot;
            part.iter().map(|target| batch.seal(task, target)).collect::<Result<Vec<_>, _>>()
        }));
    }
    let mut jobs = Vec::new();
    for part in parts {
        let sealed = part.await.map_err(|_| Refusal::from(Condition::ServerBug))?;
        jobs.extend(sealed.map_err(keys_refusal)?);
    }
    Ok(jobs)
}

impl Batch {
    fn seal(&self, task: TaskId, target: &ResetTarget) -> Result<NewJob, KeysError> {
        let job = JobId::from_bytes(self.random.bytes());
        let sequence = target.highest_sequence.next(self.issued_at);
        let context = SealContext {
            deployment: self.keys.deployment(),
            account: self.account,
            instance: target.instance.clone(),
            identity_generation: target.identity.generation,
            sealing_generation: target.sealing_generation,
            verb: Verb::SetRootPassword,
            job,
            sequence,
            issued_at: self.issued_at,
            not_after: self.not_after,
        };
        let sealed = self.keys.seal(&self.password, &context, &target.sealing_key)?;
        let origin = JobOrigin {
            task,
            devices: self.devices,
            job,
            instance: &target.instance,
            identity_generation: target.identity.generation,
            sequence,
        };
        Ok(NewJob {
            job,
            instance: target.instance.clone(),
            sequence,
            identity_generation: target.identity.generation,
            sealing_generation: target.sealing_generation,
            verb: Verb::SetRootPassword,
            issued_at: self.issued_at,
            not_after: self.not_after,
            authority: self.keys.authority(),
            sealed,
            mac: job_mac(&*self.keys, &origin),
            expected: Expected {
                binding: target.binding,
                highest_sequence: target.highest_sequence,
            },
        })
    }
}
