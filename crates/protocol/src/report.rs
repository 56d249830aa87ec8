//! What a machine says under its identity key: its sealing keys and what became of a job.

use minicbor::{Decode, Encode};
use opencpm_domain::{
    Advice, DeploymentId, Generation, InstanceId, JobId, Reason, Sequence, Timestamp, Verdict,
};

use crate::key::{SealingPublic, VerifyingKey};
use crate::sign::{Signable, Signed};

/// The identity key vouches for a sealing key.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct SealingCertificate {
    /// The identity key that signs this: so the certificate cannot move to another device.
    #[n(0)]
    pub identity: VerifyingKey,
    /// Counts the sealing keys of this identity key.
    #[cbor(n(1), with = "crate::wire")]
    pub generation: Generation,
    /// To this key passwords are sealed.
    #[n(2)]
    pub key: SealingPublic,
    /// When the machine made it, by its clock.
    #[cbor(n(3), with = "crate::wire")]
    pub made: Timestamp,
}

impl Signable for SealingCertificate {
    const CONTEXT: &'static str = "opencpm sealing key v1";
}

/// The signed result of one job. Kept by the server; the only proof of a success.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Report {
    /// Which installation.
    #[cbor(n(0), with = "crate::wire")]
    pub deployment: DeploymentId,
    /// Which device.
    #[cbor(n(1), with = "crate::wire")]
    pub instance: InstanceId,
    /// The generation of the identity key that signs.
    #[cbor(n(2), with = "crate::wire")]
    pub identity_generation: Generation,
    /// Which job.
    #[cbor(n(3), with = "crate::wire")]
    pub job: JobId,
    /// The job's sequence.
    #[cbor(n(4), with = "crate::wire")]
    pub sequence: Sequence,
    /// True when the new password was verified on disk.
    #[n(5)]
    pub applied: bool,
    /// [`Reason::number`] when it was not.
    #[n(6)]
    pub reason: Option<u16>,
    /// [`Advice::number`]s, also of advice that this version does not know.
    #[n(7)]
    pub advice: Vec<u16>,
    /// When it was decided, by the machine's clock.
    #[cbor(n(8), with = "crate::wire")]
    pub at: Timestamp,
    /// The hash scheme that was used, such as `yescrypt`.
    #[n(9)]
    pub scheme: Option<String>,
    /// The sealing key to use from now on.
    #[n(10)]
    pub next_sealing: Option<Signed<SealingCertificate>>,
}

impl Signable for Report {
    const CONTEXT: &'static str = "opencpm report v1";
}

impl Report {
    /// What the report says of the job, in the domain's terms. A reason that this version does
    /// not know, or that is not a machine's to give, is [`Reason::UnrecognisedReport`]; such
    /// advice is left out (the signed bytes keep it).
    pub fn verdict(&self) -> Verdict {
        if self.applied {
            let known = self.advice.iter().copied().filter_map(Advice::from_number);
            let advice = known.filter(|advice| !advice.is_servers_own()).collect();
            return Verdict::Applied { at: self.at, advice };
        }
        let reason = self.reason.and_then(Reason::from_number);
        let reason = reason.filter(|reason| !reason.is_servers_own());
        Verdict::NotApplied(reason.unwrap_or(Reason::UnrecognisedReport))
    }
}
