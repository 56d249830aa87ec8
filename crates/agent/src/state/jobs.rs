//! The jobs that the agent was given: what it meant to do, what it reported, and the order.

use minicbor::{Decode, Encode};
use opencpm_domain::{JobId, Sequence, Timestamp};
use opencpm_protocol::report::Report;
use opencpm_protocol::sign::Signed;

use crate::apply::{EntryDigest, Intent};

/// Outcomes that are remembered although nobody waits for them: enough for every duplicate that
/// can still be on its way. And as many refusals of jobs that anybody may have made.
pub(super) const REMEMBERED: usize = 64;

/// What the agent knows of jobs. The rules are the same whatever a report is made of: the checked
/// model has its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Encode, Decode)]
#[cbor(map)]
pub struct Jobs<R = Signed<Report>> {
    /// The highest sequence of an authentic job. Never goes back.
    #[cbor(n(0), with = "opencpm_protocol::wire")]
    pub highest: Sequence,
    /// Oldest first.
    #[n(1)]
    records: Vec<JobRecord<R>>,
    /// The highest sequence of a job whose outcome was forgotten.
    #[cbor(n(2), with = "opencpm_protocol::wire", default)]
    forgotten: Sequence,
}

/// One job.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Encode, Decode)]
#[cbor(map)]
pub struct JobRecord<R = Signed<Report>> {
    /// Which job.
    #[cbor(n(0), with = "opencpm_protocol::wire")]
    pub job: JobId,
    /// Its sequence.
    #[cbor(n(1), with = "opencpm_protocol::wire")]
    pub sequence: Sequence,
    /// How far it came.
    #[n(2)]
    pub phase: Phase<R>,
}

/// How far a job came.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub enum Phase<R = Signed<Report>> {
    /// The change may have happened; [`crate::apply::examine_after_crash`] tells.
    #[n(0)]
    Intended(#[n(0)] StoredIntent),
    /// Reported, and the server has not acknowledged it.
    #[n(1)]
    Reported(#[n(0)] R),
    /// Reported and acknowledged.
    #[n(2)]
    Kept(#[n(0)] R),
    /// Refused before its seal was opened: anybody could have made it. Reported, and not
    /// acknowledged.
    #[n(3)]
    Refused(#[n(0)] R),
    /// The same, acknowledged.
    #[n(4)]
    RefusedKept(#[n(0)] R),
}

/// [`Intent`] on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
#[cbor(map)]
pub struct StoredIntent {
    #[cbor(n(0), with = "minicbor::bytes")]
    old: [u8; 32],
    #[cbor(n(1), with = "minicbor::bytes")]
    new: [u8; 32],
}

impl From<&Intent> for StoredIntent {
    fn from(intent: &Intent) -> Self {
        Self { old: intent.old.0, new: intent.new.0 }
    }
}

impl From<StoredIntent> for Intent {
    fn from(stored: StoredIntent) -> Self {
        Self { old: EntryDigest(stored.old), new: EntryDigest(stored.new) }
    }
}

impl<R> Phase<R> {
    /// The report, when there is one.
    pub fn report(&self) -> Option<&R> {
        match self {
            Self::Intended(_) => None,
            Self::Reported(report)
            | Self::Kept(report)
            | Self::Refused(report)
            | Self::RefusedKept(report) => Some(report),
        }
    }

    const fn is_refused(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::RefusedKept(_))
    }
}

impl<R> Default for Jobs<R> {
    fn default() -> Self {
        let none = Sequence::default();
        Self { highest: none, records: Vec::new(), forgotten: none }
    }
}

impl<R: Clone> Jobs<R> {
    /// The record of a job.
    pub fn find(&self, job: JobId) -> Option<&JobRecord<R>> {
        self.records.iter().find(|record| record.job == job)
    }

    /// An authentic job was given to the machine.
    pub fn raise(&mut self, sequence: Sequence) {
        self.highest = self.highest.max(sequence);
    }

    /// Keeps how far a job came, in place of what was known of it.
    pub fn record(&mut self, job: JobId, sequence: Sequence, phase: Phase<R>) {
        self.records.retain(|record| record.job != job);
        self.records.push(JobRecord { job, sequence, phase });
        self.forget();
    }

    /// Forgets a job as if it had never come.
    pub fn remove(&mut self, job: JobId) {
        self.records.retain(|record| record.job != job);
    }

    /// The server has these reports. True when that is news.
    pub fn acknowledge(&mut self, jobs: &[JobId]) -> bool {
        let mut news = false;
        for record in self.records.iter_mut().filter(|record| jobs.contains(&record.job)) {
            record.phase = match &record.phase {
                Phase::Reported(report) => Phase::Kept(report.clone()),
                Phase::Refused(report) => Phase::RefusedKept(report.clone()),
                _ => continue,
            };
            news = true;
        }
        self.forget();
        news
    }

    /// Jobs whose change may have happened, unreported.
    pub fn unfinished(&self) -> Vec<(JobId, Sequence, Intent)> {
        let unfinished = |record: &JobRecord<R>| match record.phase {
            Phase::Intended(intent) => Some((record.job, record.sequence, intent.into())),
            _ => None,
        };
        self.records.iter().filter_map(unfinished).collect()
    }

    /// Reports that the server has not acknowledged, oldest first.
    pub fn unacknowledged(&self) -> Vec<R> {
        let waiting = |record: &JobRecord<R>| match &record.phase {
            Phase::Reported(report) | Phase::Refused(report) => Some(report.clone()),
            _ => None,
        };
        self.records.iter().filter_map(waiting).collect()
    }

    /// Up to this sequence, a job may have been done and its outcome forgotten since.
    pub const fn forgotten(&self) -> Sequence {
        self.forgotten
    }

    /// Jobs that a crash left undecided and that nobody will decide any more.
    pub fn give_up_unfinished(&mut self) {
        for (job, sequence, _) in self.unfinished() {
            self.remove(job);
            self.forgotten = self.forgotten.max(sequence);
        }
    }

    /// Facts that nobody has are never forgotten, those that the server has when it is too much.
    fn forget(&mut self) {
        let spare = |record: &JobRecord<R>| matches!(record.phase, Phase::Kept(_));
        let mut over = self.records.iter().filter(|r| spare(r)).count().saturating_sub(REMEMBERED);
        let forgotten = &mut self.forgotten;
        self.records.retain(|record| {
            let goes = over > 0 && spare(record);
            if goes {
                over -= 1;
                *forgotten = record.sequence.max(*forgotten);
            }
            !goes
        });
    }
}

impl Jobs {
    /// Makes room for another refusal by forgetting those from before `since`, when no job that
    /// was refused then can still be open. False when there is none: a refusal that is not
    /// remembered must not be signed, or the true job of that id could be done after it.
    pub fn make_room_for_refusal(&mut self, since: Timestamp) -> bool {
        let is_late =
            |report: &Signed<Report>| report.read_unverified().is_ok_and(|r| r.at < since);
        self.records.retain(|record| {
            !(record.phase.is_refused() && record.phase.report().is_some_and(is_late))
        });
        self.records.iter().filter(|record| record.phase.is_refused()).count() < REMEMBERED
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opencpm_domain::{DeploymentId, Generation, InstanceId};
    use opencpm_protocol::key::SigningKey;

    fn job(number: u8) -> JobId {
        JobId::from_bytes([number; 16])
    }

    fn report(number: u8) -> Signed<Report> {
        let report = Report {
            deployment: DeploymentId::from_bytes([0; 16]),
            instance: InstanceId::parse("cpm-1").unwrap(),
            identity_generation: Generation::FIRST,
            job: job(number),
            sequence: Sequence::new(1),
            applied: true,
            reason: None,
            advice: Vec::new(),
            at: Timestamp::from_secs(1),
            scheme: None,
            next_sealing: None,
        };
        Signed::sign(&report, &SigningKey::from_bytes(&[1; 32]))
    }

    #[test]
    fn what_nobody_knows_is_never_forgotten() {
        let mut jobs = Jobs::default();
        for number in 0..=200 {
            jobs.record(job(number), Sequence::new(1), Phase::Reported(report(number)));
        }
        assert_eq!(jobs.unacknowledged().len(), 201);
    }

    #[test]
    fn a_done_job_that_was_forgotten_is_known_to_be() {
        let mut jobs = Jobs::default();
        for number in 1..=65 {
            jobs.record(job(number), Sequence::new(number.into()), Phase::Kept(report(number)));
        }
        assert!(jobs.find(job(1)).is_none() && jobs.find(job(2)).is_some());
        assert_eq!(jobs.forgotten(), Sequence::new(1));
    }

    #[test]
    fn refusals_push_nothing_out_and_stay_until_no_such_job_can_be_open() {
        let mut jobs = Jobs::default();
        jobs.record(job(0), Sequence::new(1), Phase::Kept(report(0)));
        for number in 1..=64 {
            assert!(jobs.make_room_for_refusal(Timestamp::from_secs(1)));
            jobs.record(job(number), Sequence::new(9), Phase::Refused(report(number)));
            jobs.acknowledge(&[job(number)]);
        }
        assert!(!jobs.make_room_for_refusal(Timestamp::from_secs(1)));
        assert!(jobs.find(job(0)).is_some() && jobs.find(job(1)).is_some());
        assert!(jobs.make_room_for_refusal(Timestamp::from_secs(2)));
        assert!(jobs.find(job(0)).is_some() && jobs.find(job(1)).is_none());
        assert_eq!(jobs.forgotten(), Sequence::default(), "they were never done");
    }

    #[test]
    fn an_acknowledged_report_is_remembered_and_not_sent_again() {
        let mut jobs = Jobs::default();
        jobs.record(job(1), Sequence::new(1), Phase::Reported(report(1)));
        assert!(jobs.acknowledge(&[job(1), job(2)]));
        assert!(!jobs.acknowledge(&[job(1)]));
        assert!(jobs.unacknowledged().is_empty());
        assert_eq!(jobs.find(job(1)).unwrap().phase.report(), Some(&report(1)));
    }

    #[test]
    fn a_sequence_never_goes_back() {
        let mut jobs: Jobs = Jobs::default();
        jobs.raise(Sequence::new(7));
        jobs.raise(Sequence::new(3));
        assert_eq!(jobs.highest, Sequence::new(7));
    }
}
