//! One device's share of one task, as a machine: a transition consumes the old state.
//!
//! Open states become ended ones; a signed late report corrects an end that was a guess. Design
//! section 2.3 is the source of every rule here.

use crate::{Advice, Certainty, JobStatus, Reason, Span, Timestamp};

/// What the machine says of a job, as its signed report tells it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The new password was verified on disk.
    Applied {
        /// When, by the machine's clock.
        at: Timestamp,
        /// What else the operator should know.
        advice: Vec<Advice>,
    },
    /// It was not, or the machine itself cannot tell ([`Reason::certainty`]).
    NotApplied(Reason),
}

/// Why a job ends without a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Its time is over.
    Deadline,
    /// The device was enrolled again.
    ReEnrolled,
    /// The device was retired.
    Retired,
}

/// Where a job is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum JobState {
    /// Accepted, and no frame was sent yet.
    Ready,
    /// At least one frame may have been sent: the attempt is committed before the frame leaves.
    Attempted {
        /// How often; at least 1.
        attempts: u32,
    },
    /// Verified on the machine.
    Succeeded {
        /// How often it was sent.
        attempts: u32,
        /// When the server learned it.
        ended: Timestamp,
        /// When the machine did it, by its clock.
        applied: Timestamp,
        /// What else the operator should know.
        advice: Vec<Advice>,
        /// True when this replaced an earlier end.
        corrected: bool,
    },
    /// Not verified.
    Failed {
        /// How often it was sent.
        attempts: u32,
        /// When the server learned or decided it.
        ended: Timestamp,
        /// Why.
        reason: Reason,
        /// True when this replaced an earlier end.
        corrected: bool,
    },
}

/// A transition that this state does not know. The old state comes back unchanged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the job has ended already")]
pub struct Forbidden(pub Box<JobState>);

impl JobState {
    /// A job must not be applied later than this long before its deadline.
    pub const NOT_AFTER_MARGIN: Span = Span::from_secs(10);

    /// True until the job has an end.
    pub const fn is_open(&self) -> bool {
        matches!(self, Self::Ready | Self::Attempted { .. })
    }

    /// The device's status in the task.
    pub const fn status(&self) -> JobStatus {
        match self {
            Self::Ready | Self::Attempted { .. } => JobStatus::Incomplete,
            Self::Succeeded { .. } => JobStatus::Succeeded,
            Self::Failed { .. } => JobStatus::Failed,
        }
    }

    /// How often the job was sent.
    pub const fn attempts(&self) -> u32 {
        match self {
            Self::Ready => 0,
            Self::Attempted { attempts }
            | Self::Succeeded { attempts, .. }
            | Self::Failed { attempts, .. } => *attempts,
        }
    }

    /// The end of a job that may still be corrected: nobody heard from the machine.
    pub const fn may_be_corrected(&self) -> bool {
        match self {
            Self::Failed { reason, .. } => {
                matches!(reason.certainty(), Certainty::Unknown)
                    || matches!(reason, Reason::NotDelivered | Reason::ReEnrolled | Reason::Retired)
            }
            _ => false,
        }
    }

    /// Until when a job with this deadline may be applied.
    pub fn not_after(deadline: Timestamp) -> Timestamp {
        deadline - Self::NOT_AFTER_MARGIN
    }

    /// A job that was never sent and would come too late stays, so that it ends as `not_delivered`.
    /// One that was sent goes out again whatever the time: the machine may know its outcome.
    pub fn is_too_late_to_send(&self, not_after: Timestamp, now: Timestamp) -> bool {
        matches!(self, Self::Ready) && now > not_after
    }

    /// Whether the machine may have done it. Then an earlier job that turns out to be done was
    /// superseded by this one.
    pub const fn may_be_applied(&self) -> bool {
        match self {
            Self::Ready => false,
            Self::Attempted { .. } | Self::Succeeded { .. } => true,
            Self::Failed { reason, .. } => matches!(reason.certainty(), Certainty::Unknown),
        }
    }

    /// A frame is about to leave.
    pub fn attempt(self) -> Result<Self, Forbidden> {
        match self {
            Self::Ready => Ok(Self::Attempted { attempts: 1 }),
            Self::Attempted { attempts } => {
                Ok(Self::Attempted { attempts: attempts.saturating_add(1) })
            }
            ended => Err(Forbidden(Box::new(ended))),
        }
    }

    /// The job ends and the machine has not reported.
    pub fn end_unreported(self, ending: Ending, now: Timestamp) -> Result<Self, Forbidden> {
        let (attempts, reason) = match (&self, ending) {
            (Self::Ready, Ending::Deadline) => (0, Reason::NotDelivered),
            (Self::Ready, Ending::ReEnrolled) => (0, Reason::ReEnrolled),
            (Self::Ready, Ending::Retired) => (0, Reason::Retired),
            (Self::Attempted { attempts }, _) => (*attempts, Reason::OutcomeUnknown),
            _ => return Err(Forbidden(Box::new(self))),
        };
        Ok(Self::Failed { attempts, ended: now, reason, corrected: false })
    }

    /// The machine reported. `superseded` says that a later job of the device was applied or is
    /// unknown; it matters for a late success only.
    pub fn report(
        self,
        verdict: Verdict,
        superseded: bool,
        now: Timestamp,
    ) -> Result<Self, Forbidden> {
        let corrected = !self.is_open();
        let definite = match &verdict {
            Verdict::Applied { .. } => true,
            Verdict::NotApplied(reason) => reason.certainty() == Certainty::NotChanged,
        };
        if corrected && !(self.may_be_corrected() && definite) {
            return Err(Forbidden(Box::new(self)));
        }
        let attempts = self.attempts();
        Ok(match verdict {
            Verdict::Applied { at, mut advice } => {
                if corrected && superseded {
                    advice.insert(0, Advice::Superseded);
                }
                Self::Succeeded { attempts, ended: now, applied: at, advice, corrected }
            }
            Verdict::NotApplied(reason) => Self::Failed { attempts, ended: now, reason, corrected },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000);

    fn applied() -> Verdict {
        Verdict::Applied { at: Timestamp::from_secs(900), advice: vec![Advice::LockLifted] }
    }

    fn failed(reason: Reason) -> JobState {
        JobState::Failed { attempts: 1, ended: NOW, reason, corrected: false }
    }

    #[test]
    fn without_an_attempt_nothing_was_delivered() {
        for (ending, reason) in [
            (Ending::Deadline, Reason::NotDelivered),
            (Ending::ReEnrolled, Reason::ReEnrolled),
            (Ending::Retired, Reason::Retired),
        ] {
            let ended = JobState::Ready.end_unreported(ending, NOW).unwrap();
            assert!(matches!(ended, JobState::Failed { reason: r, .. } if r == reason));
        }
    }

    #[test]
    fn after_an_attempt_the_outcome_is_unknown_whatever_ended_it() {
        for ending in [Ending::Deadline, Ending::ReEnrolled, Ending::Retired] {
            let sent = JobState::Ready.attempt().unwrap();
            let ended = sent.end_unreported(ending, NOW).unwrap();
            assert_eq!(ended, failed(Reason::OutcomeUnknown));
        }
    }

    #[test]
    fn only_what_was_never_sent_is_too_late_to_send() {
        let deadline = Timestamp::from_secs(1_000);
        let not_after = JobState::not_after(deadline);
        assert_eq!(not_after, Timestamp::from_secs(990));
        let sent = JobState::Ready.attempt().unwrap();
        for (now, too_late) in [(990, false), (991, true)] {
            let now = Timestamp::from_secs(now);
            assert_eq!(JobState::Ready.is_too_late_to_send(not_after, now), too_late);
            assert!(!sent.is_too_late_to_send(not_after, now));
        }
    }

    #[test]
    fn a_job_that_left_may_be_applied_until_its_machine_denies_it() {
        assert!(!JobState::Ready.may_be_applied());
        assert!(JobState::Ready.attempt().unwrap().may_be_applied());
        assert!(JobState::Ready.report(applied(), false, NOW).unwrap().may_be_applied());
        assert!(failed(Reason::OutcomeUnknown).may_be_applied());
        assert!(!failed(Reason::NotDelivered).may_be_applied());
        assert!(!failed(Reason::DiskFull).may_be_applied());
    }

    #[test]
    fn attempts_are_counted_while_open_and_forbidden_afterwards() {
        let twice = JobState::Ready.attempt().unwrap().attempt().unwrap();
        assert_eq!(twice.attempts(), 2);
        assert!(failed(Reason::DiskFull).attempt().is_err());
    }

    #[test]
    fn a_late_report_corrects_a_guess() {
        for guess in [Reason::OutcomeUnknown, Reason::NotDelivered, Reason::ReEnrolled] {
            let state = failed(guess).report(applied(), true, NOW).unwrap();
            let JobState::Succeeded { advice, corrected, .. } = state else { panic!("{guess}") };
            assert!(corrected);
            assert_eq!(advice, [Advice::Superseded, Advice::LockLifted]);
            let verdict = Verdict::NotApplied(Reason::DiskFull);
            let state = failed(guess).report(verdict, true, NOW).unwrap();
            assert!(matches!(state, JobState::Failed { corrected: true, .. }));
        }
    }

    #[test]
    fn a_late_report_that_knows_nothing_corrects_nothing() {
        let verdict = Verdict::NotApplied(Reason::Overwritten);
        assert!(failed(Reason::NotDelivered).report(verdict, false, NOW).is_err());
    }

    #[test]
    fn a_known_end_stays() {
        let done = JobState::Ready.report(applied(), true, NOW).unwrap();
        assert!(matches!(&done, JobState::Succeeded { advice, corrected: false, .. }
            if advice == &[Advice::LockLifted]));
        let again = done.clone().report(Verdict::NotApplied(Reason::DiskFull), false, NOW);
        assert_eq!(again, Err(Forbidden(Box::new(done))));
        assert!(failed(Reason::DiskFull).report(applied(), false, NOW).is_err());
    }
}
