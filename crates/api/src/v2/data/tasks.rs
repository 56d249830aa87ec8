use jiff::tz::Offset;
use opencpm_operations::operation_result::OperationResult;
use opencpm_operations::row::{JobRow, LogEntry, Page};
use serde::Serialize;

use crate::moment::{text, text_or_empty};
use crate::wording;

/// Contract 4.1.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Accepted {
    pub(crate) task_id: u64,
}

/// Contract 4.2. The same list under both of its documented names.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TaskResult<'a> {
    status: u8,
    instance_ids: Vec<DeviceResult<'a>>,
    resource_ids: Vec<DeviceResult<'a>>,
}

#[derive(Serialize, Clone)]
#[serde(rename_all = "camelCase")]
struct DeviceResult<'a> {
    instance_id: &'a str,
    status: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    advice: Vec<Note>,
}

/// A stable name and its sentence.
#[derive(Serialize, Clone)]
struct Note {
    code: &'static str,
    text: &'static str,
}

impl<'a> TaskResult<'a> {
    pub(crate) fn new(result: &'a OperationResult) -> Self {
        let devices: Vec<_> = result.jobs.iter().map(DeviceResult::new).collect();
        Self {
            status: result.status.number(),
            instance_ids: devices.clone(),
            resource_ids: devices,
        }
    }
}

impl<'a> DeviceResult<'a> {
    fn new(job: &'a JobRow) -> Self {
        Self {
            instance_id: job.instance.as_str(),
            status: job.state.status().number(),
            reason: wording::reason(job).map(|reason| reason.to_string()),
            advice: notes(wording::advice(job)),
        }
    }
}

fn notes(advice: &[opencpm_domain::Advice]) -> Vec<Note> {
    advice.iter().map(|a| Note { code: a.name(), text: a.text() }).collect()
}

/// Contract 4.4.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Log<'a> {
    total_count: u64,
    logs: Vec<LogItem<'a>>,
}

/// Every scalar is a string.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LogItem<'a> {
    id: String,
    instance_id: &'a str,
    task_id: String,
    app_id: String,
    task_name: &'a str,
    #[serde(rename = "taskCName")]
    task_c_name: &'static str,
    start_time: String,
    end_time: String,
    status: String,
    op_uin: &'a str,
    memo: String,
}

impl<'a> Log<'a> {
    pub(crate) fn new(page: &'a Page<LogEntry>, offset: Offset) -> Self {
        let logs = page.items.iter().map(|entry| LogItem {
            id: entry.job.number.to_string(),
            instance_id: entry.job.instance.as_str(),
            task_id: entry.task.task.to_string(),
            app_id: entry.task.account.to_string(),
            task_name: &entry.task.action,
            task_c_name: wording::DESCRIPTION,
            start_time: text(entry.task.created, offset),
            end_time: text(wording::log_end(entry), offset),
            status: wording::log_status(&entry.job).to_string(),
            op_uin: entry.task.uin.as_str(),
            memo: wording::memo(&entry.job, offset),
        });
        Self { total_count: page.total, logs: logs.collect() }
    }
}

/// A task with everything that is known of it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Task<'a> {
    task_id: u64,
    app_id: u64,
    op_uin: &'a str,
    task_name: &'a str,
    start_time: String,
    deadline: String,
    status: u8,
    devices: Vec<TaskDevice<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TaskDevice<'a> {
    instance_id: &'a str,
    job_id: String,
    status: u8,
    attempts: u32,
    /// Empty while it runs.
    end_time: String,
    /// By the machine's clock; empty unless it succeeded.
    apply_time: String,
    corrected: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Note>,
    advice: Vec<Note>,
}

impl<'a> Task<'a> {
    pub(crate) fn new(result: &'a OperationResult, offset: Offset) -> Self {
        let task = &result.task;
        Self {
            task_id: task.task.get(),
            app_id: task.account.get(),
            op_uin: task.uin.as_str(),
            task_name: &task.action,
            start_time: text(task.created, offset),
            deadline: text(task.deadline, offset),
            status: result.status.number(),
            devices: result.jobs.iter().map(|job| TaskDevice::new(job, offset)).collect(),
        }
    }
}

impl<'a> TaskDevice<'a> {
    fn new(job: &'a JobRow, offset: Offset) -> Self {
        let reason = wording::reason(job);
        Self {
            instance_id: job.instance.as_str(),
            job_id: job.job.to_string(),
            status: job.state.status().number(),
            attempts: job.state.attempts(),
            end_time: text_or_empty(wording::ended(job), offset),
            apply_time: text_or_empty(wording::applied(job), offset),
            corrected: wording::is_corrected(job),
            reason: reason.map(|r| Note { code: r.name(), text: r.text() }),
            advice: notes(wording::advice(job)),
        }
    }
}
