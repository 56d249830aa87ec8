//! A machine: its keys, and what its agent says to a gateway.

use opencpm_domain::{Advice, GatewayId, Generation, InstanceId, Reason, Sequence, Timestamp};
use opencpm_operations::connect::{Arrival, bind, recognise};
use opencpm_operations::enrol::{EnrolRefusal, enrol};
use opencpm_operations::record_reports::{Delivered, record_reports};
use opencpm_operations::role::GatewayRole;
use opencpm_protocol::job::Recipient;
use opencpm_protocol::key::{SealingKey, SigningKey};
use opencpm_protocol::message::{EnrolRequest, Enrolled, Facts, Hello, JobFrame};
use opencpm_protocol::report::{Report, SealingCertificate};
use opencpm_protocol::sign::Signed;
use opencpm_protocol::token::EnrolmentToken;
use secrecy::SecretString;

use crate::world::{DEPLOYMENT, GATEWAY, World, account};

#[derive(Clone)]
pub(crate) struct Machine {
    pub(crate) instance: InstanceId,
    pub(crate) generation: Generation,
    pub(crate) identity: std::sync::Arc<SigningKey>,
    pub(crate) sealing: std::sync::Arc<SealingKey>,
    pub(crate) facts: Facts,
}

impl Machine {
    /// With keys of its own, and no device yet.
    pub(crate) fn new() -> Self {
        let seed = || {
            let mut seed = [0; 32];
            getrandom::fill(&mut seed).unwrap();
            seed
        };
        Self {
            instance: InstanceId::parse("cpm-none").unwrap(),
            generation: Generation::FIRST,
            identity: SigningKey::from_bytes(&seed()).into(),
            sealing: SealingKey::from_bytes(&seed()).unwrap().into(),
            facts: Facts::default(),
        }
    }

    pub(crate) fn certificate(&self, generation: u32) -> Signed<SealingCertificate> {
        let certificate = SealingCertificate {
            identity: self.identity.public(),
            generation: Generation::new(generation).unwrap(),
            key: self.sealing.public(),
            made: Timestamp::from_secs(1),
        };
        Signed::sign(&certificate, &self.identity)
    }

    /// Becomes a device, or the same device again.
    pub(crate) async fn enrol(
        &mut self,
        world: &World,
        token: &EnrolmentToken,
    ) -> Result<Enrolled, EnrolRefusal> {
        let request = EnrolRequest {
            nonce: [1; 32],
            deployment: DEPLOYMENT,
            identity: self.identity.public(),
            sealing: self.certificate(1),
            facts: self.facts.clone(),
            version: 1,
        };
        let enrolled = enrol(&world.api, token.secret(), &request).await?;
        self.instance = enrolled.instance.clone();
        self.generation = enrolled.identity_generation;
        Ok(enrolled)
    }

    /// Connects to a gateway, as its session does it.
    pub(crate) async fn connect(&self, role: &GatewayRole, gateway: GatewayId) {
        let mut known = recognise(role, vec![self.instance.clone()]).await.unwrap();
        let candidate = known.remove(0).1.unwrap();
        assert_eq!(candidate.recognised.identity, self.identity.public());
        let hello = Hello {
            nonce: [1; 32],
            deployment: DEPLOYMENT,
            instance: self.instance.clone(),
            identity_generation: self.generation,
            version: 1,
            statement_generation: Generation::FIRST,
            highest_sequence: Sequence::default(),
            sealing: self.certificate(1),
            boot: "boot".to_owned(),
            time: Timestamp::from_secs(1),
            facts: self.facts.clone(),
            since_boot: None,
        };
        let arrival = Arrival { hello, account: candidate.account };
        assert_eq!(bind(role, gateway, vec![arrival]).await.unwrap().len(), 1);
    }

    /// Reads the sealed password.
    pub(crate) fn open(&self, world: &World, frame: &JobFrame) -> SecretString {
        let trust = world.api.trust.now();
        let recipient = Recipient {
            deployment: DEPLOYMENT,
            account: account(1),
            instance: &self.instance,
            identity_generation: frame.identity_generation,
            trust: Some(&trust.statement),
            highest: Sequence::default(),
            forgotten: Sequence::default(),
            now: trust.statement.valid_until,
        };
        recipient.open(frame, |_| Some(&*self.sealing)).unwrap()
    }

    /// That the job was applied, with this advice.
    pub(crate) fn success(&self, frame: &JobFrame, advice: &[Advice]) -> Report {
        Report {
            deployment: DEPLOYMENT,
            instance: self.instance.clone(),
            identity_generation: self.generation,
            job: frame.job,
            sequence: frame.sequence,
            applied: true,
            reason: None,
            advice: advice.iter().map(|advice| advice.number()).collect(),
            at: Timestamp::from_secs(1_800_000_001),
            scheme: Some("yescrypt".to_owned()),
            next_sealing: None,
        }
    }

    /// That it was not.
    pub(crate) fn failure(&self, frame: &JobFrame, reason: Reason) -> Report {
        let reason = Some(reason.number());
        Report { applied: false, reason, scheme: None, ..self.success(frame, &[]) }
    }

    /// Reports through the gateway; true when the report need not be sent again.
    pub(crate) async fn report(&self, world: &World, report: &Report) -> bool {
        let report = Signed::sign(report, &self.identity);
        let delivered = Delivered { instance: self.instance.clone(), report };
        let kept = record_reports(&world.gateway, GATEWAY, vec![delivered]).await.unwrap();
        !kept.is_empty()
    }

    /// Does the job of the task that was just accepted, and reports it.
    pub(crate) async fn obey(&self, world: &World, advice: &[Advice]) -> JobFrame {
        let frame = world.job_for(self).await;
        assert!(self.report(world, &self.success(&frame, advice)).await);
        frame
    }
}
