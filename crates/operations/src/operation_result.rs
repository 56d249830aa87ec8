//! How a task is doing (contract 4.2).

use opencpm_domain::{Condition, Refusal, TaskId, TaskStatus};

use crate::authenticate::Caller;
use crate::port::StoreError;
use crate::refusal::store_refusal;
use crate::report_proof::{ProofError, prove_task, verify};
use crate::role::ApiRole;
use crate::row::{DeviceQuery, JobRow, TaskRow};

/// A task and its jobs, every success proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperationResult {
    /// The task.
    pub task: TaskRow,
    /// The bitwise OR of the devices' statuses.
    pub status: TaskStatus,
    /// One for each device, in the order of the request.
    pub jobs: Vec<JobRow>,
}

/// The state of a task of the caller's account.
pub async fn operation_result(
    role: &ApiRole,
    caller: &Caller,
    task: TaskId,
) -> Result<OperationResult, Refusal> {
    let (task, jobs) = owned(role, caller, task).await?;
    let mut jobs = prove_task(role, jobs).await?;
    // Checked, and not for answers: kept on, they would be most of a large task's memory.
    jobs.iter_mut().for_each(|job| job.report = None);
    let status = jobs.iter().map(|job| job.state.status()).collect();
    Ok(OperationResult { task, status, jobs })
}

/// What a fresh check of a task's kept reports says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskVerification {
    /// The task.
    pub task: TaskRow,
    /// Each device that the store calls succeeded, and what is wrong with its proof.
    pub successes: Vec<(opencpm_domain::InstanceId, Result<(), ProofError>)>,
}

/// Checks the signed reports of a task again, from the store, remembering nothing.
pub async fn verify_task(
    role: &ApiRole,
    caller: &Caller,
    task: TaskId,
) -> Result<TaskVerification, Refusal> {
    let (task, jobs) = owned(role, caller, task).await?;
    let successes = verify(role, jobs).await?;
    Ok(TaskVerification { task, successes })
}

async fn owned(
    role: &ApiRole,
    caller: &Caller,
    task: TaskId,
) -> Result<(TaskRow, Vec<JobRow>), Refusal> {
    let found = role.store.task(task).await.map_err(store_refusal)?;
    let owned = found.filter(|(row, _)| row.account == caller.app_id);
    let (row, jobs) = owned
        .ok_or_else(|| Refusal::new(Condition::NotFound, format!("there is no task {task}")))?;
    // Each proves that it is of its task, so it must be this one.
    if jobs.iter().any(|job| job.task != task) {
        return Err(store_refusal(StoreError::Corrupt("jobs of another task")));
    }
    if jobs.is_empty() {
        return Err(store_refusal(StoreError::Corrupt("a task without devices")));
    }
    check_own_devices(role, caller, &row, &jobs).await?;
    Ok((row, jobs))
}

/// A task is for a key that is limited to some devices when all of the task's are inside.
async fn check_own_devices(
    role: &ApiRole,
    caller: &Caller,
    task: &TaskRow,
    jobs: &[JobRow],
) -> Result<(), Refusal> {
    if caller.scope.devices.is_none() {
        return Ok(());
    }
    let query = DeviceQuery {
        within: caller.scope.devices.clone(),
        instances: jobs.iter().map(|job| job.instance.clone()).collect(),
        retired: true,
        ..DeviceQuery::default()
    };
    let (_, own) = role.store.devices(&query).await.map_err(store_refusal)?;
    if own.total == jobs.len() as u64 {
        return Ok(());
    }
    let message = format!("task {} has devices that are none of the key's own", task.task);
    Err(Refusal::new(Condition::DeviceNotAllowed, message))
}
