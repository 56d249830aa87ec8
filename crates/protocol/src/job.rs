//! Whether a device takes a job: what it checks before it does anything.
//!
//! One place for agent and simulated fleet. Pure: what the device knows comes in, and the reason
//! for the signed refusal comes out.

use std::borrow::Borrow;

use opencpm_domain::{
    AppId, DeploymentId, Generation, InstanceId, Password, PasswordPolicy, Reason, Sequence,
    Timestamp,
};
use secrecy::SecretString;

use crate::key::SealingKey;
use crate::message::JobFrame;
use crate::seal::{self, OpenError, SealContext, Verb};
use crate::statement::TrustStatement;

/// What a device knows when a job comes.
#[derive(Clone, Copy, Debug)]
pub struct Recipient<'a> {
    /// Its installation.
    pub deployment: DeploymentId,
    /// Its account.
    pub account: AppId,
    /// Which device it is.
    pub instance: &'a InstanceId,
    /// The generation of its identity key.
    pub identity_generation: Generation,
    /// The newest statement that it holds.
    pub trust: Option<&'a TrustStatement>,
    /// The highest sequence of an authentic job.
    pub highest: Sequence,
    /// The highest sequence of a job whose outcome it has forgotten.
    pub forgotten: Sequence,
    /// The device's time.
    pub now: Timestamp,
}

/// Why a job stays closed. Anybody may have made it.
#[derive(Debug, thiserror::Error)]
pub enum Unopened {
    /// By what the frame says of itself.
    #[error("{0}")]
    Refused(Reason),
    /// The seal is not for this device, by this deployment, for this job.
    #[error("the seal does not open")]
    Seal(#[source] OpenError),
}

impl Unopened {
    /// The reason for the report.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Refused(reason) => *reason,
            Self::Seal(_) => Reason::SealInvalid,
        }
    }
}

impl Recipient<'_> {
    /// Opens the seal, with the keys that the job names and everything else as the device knows
    /// it. `key` finds the sealing key of a generation, if it is still there.
    ///
    /// A job that opens was made by the deployment. What is left to check is [`check_time`] and
    /// [`password`].
    pub fn open<K: Borrow<SealingKey>>(
        &self,
        frame: &JobFrame,
        key: impl FnOnce(Generation) -> Option<K>,
    ) -> Result<SecretString, Unopened> {
        let refused = Unopened::Refused;
        let trust = self.trust.ok_or(refused(Reason::AuthorityUnknown))?;
        if self.now > trust.valid_until {
            return Err(refused(Reason::StatementExpired));
        }
        let verb = Verb::from_number(frame.verb).ok_or(refused(Reason::UnsupportedJob))?;
        check_sequence(frame.sequence, self.highest, self.forgotten).map_err(refused)?;
        let authority =
            trust.authority(frame.authority).ok_or(refused(Reason::AuthorityUnknown))?;
        let key = key(frame.sealing_generation).ok_or(refused(Reason::SealingKeyGone))?;
        let context = SealContext {
            deployment: self.deployment,
            account: self.account,
            instance: self.instance.clone(),
            identity_generation: self.identity_generation,
            sealing_generation: frame.sealing_generation,
            verb,
            job: frame.job,
            sequence: frame.sequence,
            issued_at: frame.issued_at,
            not_after: frame.not_after,
        };
        seal::open(&frame.sealed, &context, key.borrow(), authority).map_err(Unopened::Seal)
    }
}

/// A job of which nothing is remembered is taken only when it comes after all others. `highest` is
/// that of the jobs that were taken, `forgotten` that of those whose outcome is forgotten.
pub fn check_sequence(
    sequence: Sequence,
    highest: Sequence,
    forgotten: Sequence,
) -> Result<(), Reason> {
    match (sequence <= highest, sequence <= forgotten) {
        (false, _) => Ok(()),
        (true, true) => Err(Reason::Forgotten),
        (true, false) => Err(Reason::StaleSequence),
    }
}

/// A job may not be applied late; a clock that is known to be wrong is named as the cause.
pub fn check_time(now: Timestamp, not_after: Timestamp, skewed: bool) -> Result<(), Reason> {
    match (now > not_after, skewed) {
        (false, _) => Ok(()),
        (true, true) => Err(Reason::ClockWrong),
        (true, false) => Err(Reason::Expired),
    }
}

/// What was sealed, if it can be root's password. The widest policy decides: which one the account
/// has is the API's business.
pub fn password(opened: SecretString) -> Result<Password, Reason> {
    Password::new(opened, PasswordPolicy::ExtendedLinux).map_err(|_| Reason::UnsupportedJob)
}
