//! The exit codes of `opencpm`, all in one place.
//!
//! | code | meaning |
//! | --- | --- |
//! | 0 | done; of `reset-password` and `task show`: every machine succeeded; of `task verify`: every success is proved |
//! | 1 | something on this side went wrong: a file, the network, the server's start |
//! | 2 | the command line was wrong (clap's own) |
//! | 3 | some machines succeeded and some failed; of `task verify`: some successes are proved |
//! | 4 | no machine succeeded; of `task verify`: no success is proved |
//! | 5 | the task is not finished; of `task show` only |
//! | 10 to 14 | the API refused: who is asking, what is asked, not now, the machine's agent, the service itself |
//!
//! Which condition leads to which of 10 to 14 stands in the table of [`opencpm_domain::Condition`].

use std::process::ExitCode;

use opencpm_domain::{Condition, JobStatus, TaskStatus};

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exit(u8);

impl Exit {
    /// Everything was done.
    pub(crate) const DONE: Self = Self(0);
    /// Something on this side went wrong.
    pub(crate) const LOCAL: Self = Self(1);
    /// Some machines failed.
    pub(crate) const SOME: Self = Self(3);
    /// No machine succeeded.
    pub(crate) const NONE: Self = Self(4);
    /// Not finished.
    pub(crate) const UNFINISHED: Self = Self(5);

    /// What a task's machines say.
    pub(crate) fn of_task(status: TaskStatus) -> Self {
        match (status.has(JobStatus::Succeeded), status.has(JobStatus::Failed)) {
            _ if !status.is_finished() => Self::UNFINISHED,
            (true, false) => Self::DONE,
            (true, true) => Self::SOME,
            (false, _) => Self::NONE,
        }
    }

    /// What a condition of the API leads to.
    pub(crate) fn of(condition: Condition) -> Self {
        Self(condition.row().exit)
    }

    /// What a refusal of the API says. Conditions that share a code share their exit code.
    pub(crate) fn of_code(code: i64) -> Self {
        let rows = Condition::ALL.iter().map(|condition| condition.row());
        let mut same = rows.filter(|row| row.code.map(i64::from) == Some(code));
        same.next().map_or(Self::LOCAL, |row| Self(row.exit))
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opencpm_domain::JobStatus::{Failed, Incomplete, Succeeded};

    #[test]
    fn a_task_ends_as_its_machines_did() {
        let exit = |jobs: &[JobStatus]| Exit::of_task(jobs.iter().copied().collect());
        assert_eq!(exit(&[Succeeded, Succeeded]), Exit::DONE);
        assert_eq!(exit(&[Succeeded, Failed]), Exit::SOME);
        assert_eq!(exit(&[Failed]), Exit::NONE);
        assert_eq!(exit(&[Failed, Incomplete]), Exit::UNFINISHED);
    }

    #[test]
    fn every_code_of_the_api_has_its_exit_code() {
        for row in Condition::ALL.iter().map(|condition| condition.row()) {
            let Some(code) = row.code else { continue };
            assert_eq!(Exit::of_code(code.into()), Exit(row.exit), "{code}");
        }
        assert_eq!(Exit::of_code(-1), Exit::LOCAL);
    }
}
