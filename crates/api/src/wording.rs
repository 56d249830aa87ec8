//! What both dialects say of a job in words and times.

use jiff::tz::Offset;
use opencpm_domain::{Advice, JobState, Reason, Timestamp};
use opencpm_operations::row::{JobRow, LogEntry};

use crate::moment;

/// What the log calls a reset.
pub(crate) const DESCRIPTION: &str = "Reset password";

/// The log's status: 0 running, 1 succeeded, 2 failed (contract 4.4).
pub(crate) fn log_status(job: &JobRow) -> u8 {
    match job.state {
        JobState::Ready | JobState::Attempted { .. } => 0,
        JobState::Succeeded { .. } => 1,
        JobState::Failed { .. } => 2,
    }
}

/// When the job ended; a running entry repeats its start (contract 4.4).
pub(crate) fn log_end(entry: &LogEntry) -> Timestamp {
    ended(&entry.job).unwrap_or(entry.task.created)
}

/// When the server learned or decided the job's end.
pub(crate) fn ended(job: &JobRow) -> Option<Timestamp> {
    match job.state {
        JobState::Succeeded { ended, .. } | JobState::Failed { ended, .. } => Some(ended),
        JobState::Ready | JobState::Attempted { .. } => None,
    }
}

/// Why the job failed.
pub(crate) fn reason(job: &JobRow) -> Option<Reason> {
    match job.state {
        JobState::Failed { reason, .. } => Some(reason),
        _ => None,
    }
}

/// What else the operator should know.
pub(crate) fn advice(job: &JobRow) -> &[Advice] {
    match &job.state {
        JobState::Succeeded { advice, .. } => advice,
        _ => &[],
    }
}

/// True when a late report replaced an earlier end.
pub(crate) fn is_corrected(job: &JobRow) -> bool {
    match job.state {
        JobState::Succeeded { corrected, .. } | JobState::Failed { corrected, .. } => corrected,
        JobState::Ready | JobState::Attempted { .. } => false,
    }
}

/// When the machine changed the password, by its own clock.
pub(crate) fn applied(job: &JobRow) -> Option<Timestamp> {
    match job.state {
        JobState::Succeeded { applied, .. } => Some(applied),
        _ => None,
    }
}

/// The log's last column: what was done, and what else is to be known (contract 4.4).
pub(crate) fn memo(job: &JobRow, offset: Offset) -> String {
    let mut memo = DESCRIPTION.to_owned();
    if let Some(reason) = reason(job) {
        memo += &format!(" failed. {reason}");
    }
    if is_corrected(job) {
        memo += " (corrected by a late report";
        if let Some(applied) = applied(job) {
            memo += &format!("; the machine applied it at {}", moment::text(applied, offset));
        }
        memo += ")";
    }
    for advice in advice(job) {
        memo += &format!(" Advice: {advice}");
    }
    memo
}
