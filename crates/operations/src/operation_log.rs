//! The operation log of a device: a view of its tasks and jobs (contract 4.4).

use opencpm_domain::{Condition, InstanceId, Refusal, Timestamp};

use crate::authenticate::Caller;
use crate::refusal::store_refusal;
use crate::report_proof::prove_successes;
use crate::role::ApiRole;
use crate::row::{DeviceQuery, LogEntry, LogQuery, Page};

/// Which part of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRequest {
    /// The device.
    pub instance: InstanceId,
    /// Start time, inclusive.
    pub from: Timestamp,
    /// Start time, exclusive.
    pub before: Timestamp,
    /// Skip so many.
    pub offset: u64,
    /// At most so many.
    pub limit: u64,
}

/// The log of a device of the caller's account and scope, newest first, every success proven.
pub async fn operation_log(
    role: &ApiRole,
    caller: &Caller,
    request: LogRequest,
) -> Result<Page<LogEntry>, Refusal> {
    check_owned(role, caller, &request.instance).await?;
    let LogRequest { instance, from, before, offset, limit } = request;
    let query = LogQuery { account: caller.app_id, instance, from, before, offset, limit };
    let page = role.store.log(&query).await.map_err(store_refusal)?;
    let (tasks, jobs): (Vec<_>, _) = page.items.into_iter().map(|e| (e.task, e.job)).unzip();
    let jobs = prove_successes(role, jobs).await?;
    let entries = tasks.into_iter().zip(jobs).map(|(task, job)| LogEntry { task, job });
    Ok(Page { total: page.total, items: entries.collect() })
}

async fn check_owned(
    role: &ApiRole,
    caller: &Caller,
    instance: &InstanceId,
) -> Result<(), Refusal> {
    let query = DeviceQuery {
        account: Some(caller.app_id),
        instances: vec![instance.clone()],
        retired: true,
        limit: 1,
        ..DeviceQuery::default()
    };
    let (_, page) = role.store.devices(&query).await.map_err(store_refusal)?;
    let device = page.items.first().ok_or_else(|| {
        Refusal::new(Condition::NotFound, format!("{instance}: there is no such device"))
    })?;
    caller.check_device(instance, &device.attributes.tags)
}
