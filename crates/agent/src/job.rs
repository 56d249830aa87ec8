//! What becomes of a job: from the frame to the signed report.
//!
//! A job's reset is never begun twice. The sequence is durable with the intent, so before anything
//! changes; the report is durable before it is sent.

use std::error::Error;
use std::time::Duration;

use opencpm_domain::{Advice, JobId, Password, Reason, Sequence, Span, Timestamp};
use opencpm_protocol::job::{Recipient, Unopened, check_time, password};
use opencpm_protocol::message::JobFrame;
use opencpm_protocol::report::Report;
use opencpm_protocol::sign::Signed;
use secrecy::SecretString;

use crate::advice::{Files, after_success};
use crate::agent::{Agent, time_of};
use crate::apply::{
    Applied, Intent, Order, Oversight, Scheme, Step, examine_after_crash, reset, tidy_up,
};
use crate::clock::Clock;
use crate::machine::Machine;
use crate::state::{Phase, State, StateDir};

/// Why a job is not begun.
enum Refusal {
    /// Its seal was not opened, so anybody may have made it.
    Unproven(Reason),
    /// The deployment made it.
    Authentic(Reason),
}

/// What a report says of the change.
enum Outcome {
    Applied { scheme: Option<Scheme>, advice: Vec<Advice> },
    NotApplied(Reason),
}

/// Longer than any deadline, where no statement names the longest.
const UNKNOWN_DEADLINE: Span = Span::from_secs(24 * 3600);

impl Agent<'_> {
    /// Does the job, or answers from the record. `None` when a crash left it undecided and it
    /// cannot be decided now, or when it is one of too many that nobody of ours made.
    pub(crate) fn job(&mut self, frame: &JobFrame) -> Option<Signed<Report>> {
        if self.state.jobs.find(frame.job).is_some() {
            self.recover();
            let record = self.state.jobs.find(frame.job)?;
            tracing::info!(job = %frame.job, "a job came again: answered from the record");
            return record.phase.report().cloned();
        }
        tracing::info!(job = %frame.job, sequence = frame.sequence.get(), "a job came");
        let (phase, outcome): (fn(_) -> _, _) = match self.accept(frame) {
            Ok(password) => (Phase::Reported, self.apply(frame, &password)),
            Err(Refusal::Authentic(reason)) => (Phase::Reported, Outcome::NotApplied(reason)),
            Err(Refusal::Unproven(reason)) if self.may_refuse() => {
                (Phase::Refused, Outcome::NotApplied(reason))
            }
            Err(Refusal::Unproven(reason)) => {
                tracing::error!(job = %frame.job, %reason, "too many refused jobs; not answered");
                return None;
            }
        };
        Some(self.settle(frame.job, frame.sequence, outcome, phase))
    }

    /// Looks at what a crash left undecided and reports it; tidies up when nothing is left to look
    /// at.
    pub(crate) fn recover(&mut self) {
        let mut all_decided = true;
        for (job, sequence, intent) in self.state.jobs.unfinished() {
            let outcome = match examine_after_crash(&self.surroundings.root, &intent) {
                Ok(found) => match found.reason() {
                    Some(reason) => Outcome::NotApplied(reason),
                    None => {
                        let advice = advice(&self.surroundings.root, self.time(), Vec::new());
                        Outcome::Applied { scheme: None, advice }
                    }
                },
                Err(failure) => {
                    let error = &failure as &dyn Error;
                    tracing::error!(%job, error, "what a crash left cannot be looked at now");
                    all_decided = false;
                    continue;
                }
            };
            self.settle(job, sequence, outcome, Phase::Reported);
        }
        if all_decided && let Err(error) = tidy_up(&self.surroundings.root) {
            let error = &error as &dyn Error;
            tracing::warn!(error, "what a stopped reset left may remain");
        }
    }

    /// Checks everything that can be checked before the shadow file is touched.
    fn accept(&mut self, frame: &JobFrame) -> Result<Password, Refusal> {
        let opened = self.open(frame).map_err(|error| {
            tracing::warn!(job = %frame.job, error = &error as &dyn Error, "the job is not opened");
            Refusal::Unproven(error.reason())
        })?;
        self.state.jobs.raise(frame.sequence);
        self.learn_time(frame.issued_at);
        check_time(self.time(), frame.not_after, self.skewed).map_err(Refusal::Authentic)?;
        password(opened).map_err(Refusal::Authentic)
    }

    fn open(&self, frame: &JobFrame) -> Result<SecretString, Unopened> {
        let (identity, trust) = (&self.state.identity, self.state.trust());
        let recipient = Recipient {
            deployment: identity.deployment,
            account: identity.account,
            instance: &identity.instance,
            identity_generation: identity.generation,
            trust: trust.as_ref(),
            highest: self.state.jobs.highest,
            forgotten: self.state.jobs.forgotten(),
            now: self.time(),
        };
        recipient.open(frame, |generation| self.state.sealing.key(generation)?.ok())
    }

    /// A signed refusal says that the job was not done. It must be remembered as long as the true
    /// job of that id could still come and be done.
    fn may_refuse(&mut self) -> bool {
        let longest = self.state.trust().map_or(UNKNOWN_DEADLINE, |trust| trust.longest_deadline);
        let since = self.time() - longest;
        self.state.jobs.make_room_for_refusal(since)
    }

    fn apply(&mut self, frame: &JobFrame, password: &Password) -> Outcome {
        let now = self.time();
        let mut salt = [0; 16];
        self.surroundings.rng.fill_bytes(&mut salt);
        let left = frame.not_after.as_micros().saturating_sub(now.as_micros());
        let order = Order {
            password,
            today: now.as_days(),
            issued: frame.issued_at.as_days(),
            wait: Order::USUAL_WAIT.min(Duration::from_micros(left)),
            salt,
        };
        let mut watch = Watch {
            frame,
            clock: self.surroundings.clock,
            machine: &self.machine,
            directory: &self.directory,
            state: &mut self.state,
            skewed: self.skewed,
        };
        match reset(&self.surroundings.root, &order, &mut watch) {
            Ok(Applied { lifted, scheme, .. }) => {
                let advice = advice(&self.surroundings.root, self.time(), lifted);
                Outcome::Applied { scheme: Some(scheme), advice }
            }
            Err(failure) => {
                let error = &failure as &dyn Error;
                tracing::warn!(job = %frame.job, error, "the password was not set");
                Outcome::NotApplied(failure.reason())
            }
        }
    }

    /// Signs what became of the job, with the next sealing key where it was applied, and keeps it.
    fn settle(
        &mut self,
        job: JobId,
        sequence: Sequence,
        outcome: Outcome,
        phase: fn(Signed<Report>) -> Phase,
    ) -> Signed<Report> {
        let applied = matches!(outcome, Outcome::Applied { .. });
        if applied {
            self.advance_sealing();
        }
        let mut report = self.report(job, sequence, outcome);
        let mut signed = self.keep(&report, phase);
        if let Err(error) = self.save() {
            let error = &error as &dyn Error;
            tracing::error!(%job, error, "the report could not be saved; it is sent all the same");
            // Nobody may seal to a key that a crash would lose.
            if applied {
                self.state.sealing.take_back();
                report.next_sealing = None;
                signed = self.keep(&report, phase);
            }
        }
        #[cfg(feature = "fault-points")]
        crate::fault::reached("report-durable");
        tracing::info!(%job, applied, reason = report.reason, "the job is done");
        signed
    }

    fn keep(&mut self, report: &Report, phase: fn(Signed<Report>) -> Phase) -> Signed<Report> {
        let signed = Signed::sign(report, &self.state.identity.signing_key());
        self.state.jobs.record(report.job, report.sequence, phase(signed.clone()));
        signed
    }

    fn report(&self, job: JobId, sequence: Sequence, outcome: Outcome) -> Report {
        let identity = &self.state.identity;
        let mut report = Report {
            deployment: identity.deployment,
            instance: identity.instance.clone(),
            identity_generation: identity.generation,
            job,
            sequence,
            applied: false,
            reason: None,
            advice: Vec::new(),
            at: self.time(),
            scheme: None,
            next_sealing: None,
        };
        match outcome {
            Outcome::Applied { scheme, advice } => {
                report.applied = true;
                report.advice = advice.into_iter().map(Advice::number).collect();
                report.scheme = scheme.map(|scheme| scheme.name().to_owned());
                report.next_sealing = Some(self.state.sealing.newest().certificate.clone());
            }
            Outcome::NotApplied(reason) => report.reason = Some(reason.number()),
        }
        report
    }
}

/// Keeps the intent and the time limit while the shadow file is being changed.
struct Watch<'a> {
    frame: &'a JobFrame,
    clock: &'a dyn Clock,
    machine: &'a Machine,
    directory: &'a StateDir,
    state: &'a mut State,
    skewed: bool,
}

impl Oversight for Watch<'_> {
    fn intend(&mut self, intent: &Intent) -> Result<(), Reason> {
        let (job, sequence) = (self.frame.job, self.frame.sequence);
        self.state.jobs.record(job, sequence, Phase::Intended(intent.into()));
        self.directory.save(self.state).map_err(|error| {
            tracing::error!(%job, error = &error as &dyn Error, "the intent could not be saved");
            self.state.jobs.remove(job);
            Reason::StateUnwritable
        })
    }

    fn still_due(&mut self) -> Result<(), Reason> {
        let now = time_of(self.clock, self.machine, self.state);
        check_time(now, self.frame.not_after, self.skewed)
    }

    fn reached(&mut self, step: Step) {
        tracing::debug!(job = %self.frame.job, ?step, "reached");
        #[cfg(feature = "fault-points")]
        crate::fault::reached(match step {
            Step::IntentDurable => "intent-durable",
            Step::Renamed => "renamed",
            Step::Verified => "verified",
        });
    }
}

/// What was lifted, and what else the operator should know.
pub(crate) fn advice(files: &dyn Files, now: Timestamp, lifted: Vec<Advice>) -> Vec<Advice> {
    let mut advice = [lifted, after_success(files, now)].concat();
    advice.sort();
    advice.dedup();
    advice
}
