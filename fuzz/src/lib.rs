//! The honest parties that the targets of the control channel are tried on: keys, values and
//! frames that are always the same.

use std::convert::Infallible;
use std::sync::LazyLock;

use opencpm_domain::{
    AppId, DeploymentId, Generation, InstanceId, JobId, Sequence, Span, Timestamp,
};
use opencpm_protocol::key::{AuthorityKey, SealingKey, SigningKey};
use opencpm_protocol::message::{Enrol, EnrolRequest, Facts, Hello, PROTOCOL_VERSION, Welcome};
use opencpm_protocol::report::{Report, SealingCertificate};
use opencpm_protocol::seal::{SealContext, Verb};
use opencpm_protocol::sign::Signed;
use opencpm_protocol::statement::TrustStatement;
use rand_core::{TryCryptoRng, TryRng};

pub const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
pub const NONCE: [u8; 32] = [0x5a; 32];
pub const HERE: DeploymentId = DeploymentId::from_bytes([1; 16]);

/// Signs trust statements.
pub static ROOT: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::from_bytes(&[2; 32]));

/// The device's key, and one that is not.
static IDENTITIES: LazyLock<[SigningKey; 2]> =
    LazyLock::new(|| [4, 3].map(|number| SigningKey::from_bytes(&[number; 32])));

pub fn identity(honest: bool) -> &'static SigningKey {
    &IDENTITIES[usize::from(honest)]
}

/// Opens what is sealed for the device.
pub fn sealing() -> SealingKey {
    SealingKey::from_bytes(&[9; 32]).expect("any 32 bytes are a key")
}

/// Seals jobs.
pub fn authority() -> AuthorityKey {
    AuthorityKey::from_bytes(&[7; 32]).expect("any 32 bytes are a key")
}

/// The device, or another.
pub fn instance(honest: bool) -> InstanceId {
    InstanceId::parse(if honest { "cpm-honest" } else { "cpm-other" }).expect("an id")
}

pub fn account() -> AppId {
    AppId::new(7).expect("an account")
}

pub fn generation(number: u32) -> Generation {
    Generation::new(number.max(1)).expect("not 0")
}

pub fn statement(number: u32, deployment: DeploymentId) -> TrustStatement {
    TrustStatement {
        deployment,
        generation: generation(number),
        authorities: vec![authority().public()],
        row_keys: vec![identity(false).public()],
        tls_authorities: Vec::new(),
        longest_deadline: Span::from_secs(3600),
        valid_from: NOW,
        valid_until: NOW + Span::from_secs(1_000),
    }
}

pub fn certificate(honest: bool) -> Signed<SealingCertificate> {
    let key = identity(honest);
    let certificate = SealingCertificate {
        identity: key.public(),
        generation: Generation::FIRST,
        key: sealing().public(),
        made: NOW,
    };
    Signed::sign(&certificate, key)
}

pub fn hello(honest: bool, nonce: [u8; 32]) -> Hello {
    Hello {
        nonce,
        deployment: HERE,
        instance: instance(true),
        identity_generation: Generation::FIRST,
        version: PROTOCOL_VERSION,
        statement_generation: Generation::FIRST,
        highest_sequence: Sequence::default(),
        sealing: certificate(honest),
        boot: String::new(),
        time: NOW,
        facts: Facts::default(),
        since_boot: None,
    }
}

pub fn enrol_request(nonce: [u8; 32]) -> EnrolRequest {
    EnrolRequest {
        nonce,
        deployment: HERE,
        identity: identity(true).public(),
        sealing: certificate(true),
        facts: Facts::default(),
        version: PROTOCOL_VERSION,
    }
}

pub fn enrol(nonce: [u8; 32]) -> Enrol {
    let request = Signed::sign(&enrol_request(nonce), identity(true));
    Enrol { secret: [8; 32].into(), request }
}

pub fn report(own_name: bool) -> Report {
    Report {
        deployment: HERE,
        instance: instance(own_name),
        identity_generation: Generation::FIRST,
        job: JobId::from_bytes([1; 16]),
        sequence: Sequence::new(1),
        applied: true,
        reason: None,
        advice: Vec::new(),
        at: NOW,
        scheme: Some("yescrypt".to_owned()),
        next_sealing: Some(certificate(true)),
    }
}

pub fn welcome() -> Welcome {
    Welcome {
        sealing_generation: Generation::FIRST,
        account: account(),
        gateways: vec!["gateway.example:8444".to_owned()],
    }
}

/// What the job of [`sealing`] is bound to.
pub fn context() -> SealContext {
    SealContext {
        deployment: HERE,
        account: account(),
        instance: instance(true),
        identity_generation: Generation::FIRST,
        sealing_generation: Generation::FIRST,
        verb: Verb::SetRootPassword,
        job: JobId::from_bytes([1; 16]),
        sequence: Sequence::new(1),
        issued_at: NOW,
        not_after: NOW + Span::from_secs(60),
    }
}

/// Always the same, so that what is made with it is, too.
pub struct Same;

impl TryRng for Same {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(0x6b6b_6b6b)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(0x6b6b_6b6b_6b6b_6b6b)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.fill(0x6b);
        Ok(())
    }
}

impl TryCryptoRng for Same {}
