//! Sealing one password to many devices.

use std::sync::Arc;

use opencpm_domain::{AppId, JobId, Password, Refusal, TaskId, Timestamp};
use opencpm_protocol::seal::{SealContext, Verb};

use crate::authentic::{JobOrigin, job_mac};
use crate::cores::Cores;
use crate::port::{Keys, KeysError, Random};
use crate::refusal::keys_refusal;
use crate::reset_check::ResetTarget;
use crate::row::{Expected, NewJob};

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
    cores: &Cores,
    batch: &Arc<Batch>,
    task: TaskId,
    targets: Vec<ResetTarget>,
) -> Result<Vec<NewJob>, Refusal> {
    let batch = Arc::clone(batch);
    let sealed = cores.spread(targets, move |target| batch.seal(task, target)).await?;
    sealed.into_iter().collect::<Result<_, _>>().map_err(keys_refusal)
}

impl Batch {
    fn seal(&self, task: TaskId, target: ResetTarget) -> Result<NewJob, KeysError> {
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
        let mac = job_mac(&*self.keys, &origin);
        Ok(NewJob {
            job,
            instance: target.instance,
            sequence,
            identity_generation: target.identity.generation,
            sealing_generation: target.sealing_generation,
            verb: Verb::SetRootPassword,
            issued_at: self.issued_at,
            not_after: self.not_after,
            authority: self.keys.authority(),
            sealed,
            mac,
            expected: Expected {
                binding: target.binding,
                highest_sequence: target.highest_sequence,
            },
        })
    }
}
