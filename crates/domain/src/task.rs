//! A task's status: the bitwise OR of its devices' (contract section 5).

/// What one device of a task is at: exactly one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JobStatus {
    /// The new password was verified on the machine.
    Succeeded = 1,
    /// It was not, or nobody knows; the reason tells which.
    Failed = 2,
    /// Still under way.
    Incomplete = 4,
}

impl JobStatus {
    /// The number on the wire.
    pub const fn number(self) -> u8 {
        self as u8
    }
}

/// The bitwise OR over a task's devices, 1 to 7.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct TaskStatus(u8);

impl TaskStatus {
    /// The number on the wire.
    pub const fn number(self) -> u8 {
        self.0
    }

    /// A task is finished exactly when no device is incomplete.
    pub const fn is_finished(self) -> bool {
        self.0 & JobStatus::Incomplete.number() == 0
    }

    /// True when at least one device has this status.
    pub const fn has(self, status: JobStatus) -> bool {
        self.0 & status.number() != 0
    }
}

impl FromIterator<JobStatus> for TaskStatus {
    fn from_iter<I: IntoIterator<Item = JobStatus>>(jobs: I) -> Self {
        Self(jobs.into_iter().fold(0, |bits, job| bits | job.number()))
    }
}

#[cfg(test)]
mod tests {
    use super::JobStatus::{Failed, Incomplete, Succeeded};
    use super::*;

    #[test]
    fn the_status_is_the_or_of_the_devices() {
        let status = |jobs: &[JobStatus]| jobs.iter().copied().collect::<TaskStatus>().number();
        assert_eq!(status(&[Succeeded, Succeeded]), 1);
        assert_eq!(status(&[Succeeded, Failed]), 3);
        assert_eq!(status(&[Succeeded, Incomplete]), 5);
        assert_eq!(status(&[Failed, Incomplete]), 6);
        assert_eq!(status(&[Succeeded, Failed, Incomplete]), 7);
    }

    #[test]
    fn a_task_is_finished_when_nothing_is_incomplete() {
        assert!([Succeeded, Failed].into_iter().collect::<TaskStatus>().is_finished());
        assert!(![Succeeded, Incomplete].into_iter().collect::<TaskStatus>().is_finished());
    }
}
