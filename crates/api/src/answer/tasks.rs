use std::sync::Arc;

use opencpm_domain::Advice;
use opencpm_operations::operation_result::{OperationResult, TaskVerification};
use opencpm_operations::row::{JobRow, LogEntry, Page};

use super::object::Object;
use super::table::*;
use crate::wording;

/// Contract 4.2. In API 2.0 the same list under both of its documented names.
pub(super) fn result(result: &Arc<OperationResult>, to: &mut Object<'_>) {
    to.number(&STATUS, result.status.number().into());
    for field in [&BY_INSTANCE, &BY_RESOURCE] {
        let result = Arc::clone(result);
        to.many(field, result.jobs.len(), move |place, to| device_result(&result.jobs[place], to));
    }
}

fn device_result(job: &JobRow, to: &mut Object<'_>) {
    to.text(&INSTANCE_ID, job.instance.as_str());
    to.number(&STATUS, job.state.status().number().into());
    let reason = wording::reason(job).map(|reason| reason.to_string());
    to.optional(&REASON_TEXT, reason.as_deref());
    let advice = wording::advice(job);
    if !advice.is_empty() {
        to.objects(&ADVICE_V2, advice, advice_note);
    }
}

fn advice_note(advice: &Advice, to: &mut Object<'_>) {
    note(advice.name(), advice.text(), to);
}

fn note(code: &str, text: &str, to: &mut Object<'_>) {
    to.text(&NOTE_CODE, code);
    to.text(&NOTE_TEXT, text);
}

/// Contract 4.4.
pub(super) fn log(page: &Page<LogEntry>, to: &mut Object<'_>) {
    to.number(&LOG_TOTAL, page.total);
    to.objects(&LOGS, &page.items, log_entry);
}

fn log_entry(entry: &LogEntry, to: &mut Object<'_>) {
    to.number(&LOG_ID, entry.job.number);
    to.text(&INSTANCE_ID, entry.job.instance.as_str());
    to.number(&TASK_ID, entry.task.task.get());
    to.number(&LOG_APP_ID, entry.task.account.get());
    to.text(&TASK_NAME, &entry.task.action);
    to.text(&TASK_DESCRIPTION, wording::DESCRIPTION);
    to.time(&START_TIME, Some(entry.task.created));
    to.time(&END_TIME, Some(wording::log_end(entry)));
    to.number(&LOG_STATUS, wording::log_status(&entry.job).into());
    to.text(&OP_UIN, entry.task.uin.as_str());
    to.text(&MEMO, &wording::memo(&entry.job, to.style().offset));
}

/// A task with everything that is known of it.
pub(super) fn task(result: &Arc<OperationResult>, to: &mut Object<'_>) {
    let task = &result.task;
    to.number(&TASK_ID, task.task.get());
    to.number(&APP_ID, task.account.get());
    to.text(&OP_UIN, task.uin.as_str());
    to.text(&TASK_NAME, &task.action);
    to.time(&START_TIME, Some(task.created));
    to.time(&TASK_DEADLINE, Some(task.deadline));
    to.number(&STATUS, result.status.number().into());
    let result = Arc::clone(result);
    let count = result.jobs.len();
    to.many(&TASK_DEVICES, count, move |place, to| task_device(&result.jobs[place], to));
}

fn task_device(job: &JobRow, to: &mut Object<'_>) {
    to.text(&INSTANCE_ID, job.instance.as_str());
    to.text(&JOB_ID, &job.job.to_string());
    to.number(&STATUS, job.state.status().number().into());
    to.number(&ATTEMPTS, job.state.attempts().into());
    to.time(&END_TIME_OR_EMPTY, wording::ended(job));
    to.time(&APPLY_TIME, wording::applied(job));
    to.flag(&CORRECTED, wording::is_corrected(job));
    if let Some(reason) = wording::reason(job) {
        to.object(&REASON, |to| note(reason.name(), reason.text(), to));
    }
    to.objects(&ADVICE, wording::advice(job), advice_note);
}

/// What a second look at a task's kept reports says.
pub(super) fn verification(task: &Arc<TaskVerification>, to: &mut Object<'_>) {
    to.number(&TASK_ID, task.task.task.get());
    to.flag(&VERIFIED, task.successes.iter().all(|(_, proof)| proof.is_ok()));
    let task = Arc::clone(task);
    to.many(&VERIFIED_DEVICES, task.successes.len(), move |place, to| {
        let (instance, proof) = &task.successes[place];
        to.text(&INSTANCE_ID, instance.as_str());
        to.flag(&VERIFIED, proof.is_ok());
        match proof {
            Ok(()) => to.text(&FINDING, "the machine signed that it set the password"),
            Err(error) => to.text(&FINDING, &error.to_string()),
        }
    });
}
