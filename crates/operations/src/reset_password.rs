//! Reset the password of many devices: check, seal, write, tell the gateways (design section 4,
//! "Acceptance"; contract 4.1).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use opencpm_domain::{Condition, InstanceId, JobState, Password, Refusal, TaskId};
use tokio::sync::OwnedSemaphorePermit;

use crate::authentic::{JobOrigin, job_mac};
use crate::authenticate::{Caller, check_unused, known_key};
use crate::clock_check;
use crate::port::ReadyJobs;
use crate::refusal::{change_refusal, clock_refusal, queue_refusal, store_refusal};
use crate::reset_check::{ResetTarget, check_candidates};
use crate::role::ApiRole;
use crate::row::{Acceptance, NewJob, NewTask, Unique};
use crate::seal_jobs::{Batch, seal_jobs};

/// The task's name in the operation log (contract 4.4).
pub const TASK_NAME: &str = "resetPasswd";

/// How often a new task id is tried, should another node have taken the same microsecond.
const ID_ROUNDS: usize = 4;

/// How often devices that changed while they were sealed for are sealed for anew. Each time they
/// are fewer: machines that move from one gateway to another, or come back.
const SEALING_ROUNDS: usize = 6;

/// One password for many devices.
#[derive(Clone, Debug)]
pub struct ResetPassword {
    /// Which devices, in the order of the request, without duplicates.
    pub instances: Vec<InstanceId>,
    /// The new password.
    pub password: Password,
    /// What makes the request unique.
    pub unique: Unique,
}

/// Accepts a reset: all devices or none. The task id is returned after the commit is durable.
pub async fn reset_password(
    role: &ApiRole,
    caller: &Caller,
    request: ResetPassword,
) -> Result<TaskId, Refusal> {
    let unique = request.unique.clone();
    match accept(role, caller, request).await {
        Err(refusal) if refusal.condition == Condition::DeviceBusy => {
            // A client that sends a request again at once finds the devices busy with its own
            // first try. What answers then is the replay, which comes earlier (contract 7.1,
            // steps 6 and 11).
            check_unused(role, &unique).await?.ok_or(refusal)
        }
        result => result,
    }
}

async fn accept(
    role: &ApiRole,
    caller: &Caller,
    request: ResetPassword,
) -> Result<TaskId, Refusal> {
    let _room = room(role, caller, request.instances.len()).await?;
    let (targets, last_task) = targets(role, caller, &request.instances).await?;
    role.queue.check().await.map_err(queue_refusal)?;
    let now = role.clock.now();
    let task = TaskId::next(last_task, now).map_err(|_| Refusal::from(Condition::ServerBug))?;
    let batch = Arc::new(Batch {
        keys: Arc::clone(&role.keys),
        random: Arc::clone(&role.random),
        password: request.password,
        account: caller.app_id,
        devices: u32::try_from(targets.len()).map_err(|_| Refusal::from(Condition::ServerBug))?,
        issued_at: now,
        not_after: JobState::not_after(now + role.settings.job_deadline),
    });
    let jobs = seal_jobs(&role.cores, &batch, task, targets).await?;
    let proposed = NewTask {
        task,
        account: caller.app_id,
        action: TASK_NAME,
        uin: caller.uin.clone(),
        created: now,
        deadline: now + role.settings.job_deadline,
        within: caller.scope.devices.clone(),
        unique: Some(request.unique),
        jobs,
    };
    let (accepted, ready) = write(role, caller, &batch, proposed).await?;
    if let Err(error) = role.queue.publish(ready).await {
        // The task is durable; the sweep finds its jobs in the store.
        tracing::warn!(error = &error as &dyn std::error::Error, task = %accepted, "not queued");
    }
    Ok(accepted)
}

/// Room for the request's devices. What let the request come so far is looked at again after a
/// wait: meanwhile somebody may have disabled its key.
async fn room(
    role: &ApiRole,
    caller: &Caller,
    devices: usize,
) -> Result<OwnedSemaphorePermit, Refusal> {
    let waiting = match role.room.take(devices) {
        Ok(room) => return Ok(room),
        Err(waiting) => waiting,
    };
    let room = waiting.await.ok_or_else(|| {
        let why = "too many large requests are being accepted; send it again in a minute";
        Refusal::new(Condition::StoreUnavailable, why)
    })?;
    known_key(role, &caller.secret_id).await?.check_maintenance(true)?;
    Ok(room)
}

/// Writes the task. Devices that changed meanwhile are looked at and sealed anew.
async fn write(
    role: &ApiRole,
    caller: &Caller,
    batch: &Arc<Batch>,
    task: NewTask,
) -> Result<(TaskId, Vec<ReadyJobs>), Refusal> {
    // Handed to the store's writer without a copy; what changes between two tries is nobody's
    // else's any more.
    let mut task = Arc::new(task);
    let mut sealing_rounds = 0;
    let mut id_rounds = 0;
    loop {
        match role.store.accept(Arc::clone(&task)).await.map_err(change_refusal)? {
            Acceptance::Accepted => return Ok((task.task, ready_jobs(&task.jobs))),
            Acceptance::AcceptedBefore(first) => return Ok((first, Vec::new())),
            Acceptance::Replayed => return Err(Condition::Replayed.into()),
            Acceptance::IdTaken if id_rounds < ID_ROUNDS => {
                id_rounds += 1;
                rename(role, Arc::make_mut(&mut task), batch.devices)?;
            }
            Acceptance::Changed(changed) if sealing_rounds < SEALING_ROUNDS => {
                sealing_rounds += 1;
                seal_anew(role, caller, batch, Arc::make_mut(&mut task), changed).await?;
            }
            Acceptance::Changed(changed) => return Err(keeps_changing(&changed)),
            Acceptance::IdTaken => return Err(Condition::ServerBug.into()),
        }
    }
}

/// Reads and checks the devices of a request.
async fn targets(
    role: &ApiRole,
    caller: &Caller,
    instances: &[InstanceId],
) -> Result<(Vec<ResetTarget>, Option<TaskId>), Refusal> {
    let before = role.clock.now();
    let candidates = role.store.reset_candidates(instances).await.map_err(store_refusal)?;
    // What is accepted now is dated by this node's clock, and ends by the store's.
    clock_check::check(before, candidates.now, role.clock.now()).map_err(clock_refusal)?;
    let last_task = candidates.last_task;
    let targets = check_candidates(role, caller, instances, candidates).await?;
    Ok((targets, last_task))
}

async fn seal_anew(
    role: &ApiRole,
    caller: &Caller,
    batch: &Arc<Batch>,
    task: &mut NewTask,
    changed: Vec<InstanceId>,
) -> Result<(), Refusal> {
    let (targets, _) = targets(role, caller, &changed).await?;
    let anew = seal_jobs(&role.cores, batch, task.task, targets).await?;
    let mut anew: HashMap<_, _> = anew.into_iter().map(|j| (j.instance.clone(), j)).collect();
    for job in &mut task.jobs {
        if let Some(replacement) = anew.remove(&job.instance) {
            *job = replacement;
        }
    }
    Ok(())
}

/// Gives the task the next id, and its jobs the MACs that go with it.
fn rename(role: &ApiRole, task: &mut NewTask, devices: u32) -> Result<(), Refusal> {
    let bug = |_| Refusal::from(Condition::ServerBug);
    task.task = TaskId::next(Some(task.task), role.clock.now()).map_err(bug)?;
    for job in &mut task.jobs {
        let origin = JobOrigin {
            task: task.task,
            devices,
            job: job.job,
            instance: &job.instance,
            identity_generation: job.identity_generation,
            sequence: job.sequence,
        };
        job.mac = job_mac(&*role.keys, &origin);
    }
    Ok(())
}

fn ready_jobs(jobs: &[NewJob]) -> Vec<ReadyJobs> {
    let mut by_gateway: HashMap<_, Vec<_>> = HashMap::new();
    for job in jobs {
        by_gateway.entry(job.expected.binding.gateway).or_default().push(job.job);
    }
    by_gateway.into_iter().map(|(gateway, jobs)| ReadyJobs { gateway, jobs }).collect()
}

fn keeps_changing(changed: &[InstanceId]) -> Refusal {
    let unique: HashSet<_> = changed.iter().map(InstanceId::as_str).collect();
    let mut ids: Vec<_> = unique.into_iter().collect();
    ids.sort_unstable();
    let message = format!("these devices are changing at this moment: {}", ids.join(", "));
    Refusal::new(Condition::DeviceBusy, message)
}
