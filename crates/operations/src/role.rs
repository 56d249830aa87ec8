//! What a process may do: the parts that each role is given.

use std::sync::{Arc, PoisonError, RwLock};

use opencpm_domain::{DeploymentId, PasswordPolicy, Span, Timestamp};
use opencpm_protocol::key::VerifyingKey;
use opencpm_protocol::sign::{SignatureError, Signed};
use opencpm_protocol::statement::TrustStatement;

use crate::authentic::Authenticity;
use crate::cores::Cores;
use crate::port::{Clock, DeploymentRow, Issuer, Keys, Queue, Random, Store};
use crate::quotas::Quotas;
use crate::report_proof::Proofs;
use crate::room::Room;

/// Accepts requests. The only role that holds the deployment's secret keys.
pub struct ApiRole {
    /// Where everything is.
    pub store: Arc<dyn Store>,
    /// Who tells the gateways.
    pub queue: Arc<dyn Queue>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// For ids, tokens and secrets.
    pub random: Arc<dyn Random>,
    /// The deployment's keys.
    pub keys: Arc<dyn Keys>,
    /// The deployment's TLS authority.
    pub issuer: Arc<dyn Issuer>,
    /// What the root key says.
    pub trust: Arc<LiveTrust>,
    /// What the operator chose.
    pub settings: Settings,
    /// Reports that this process has checked already.
    pub proofs: Proofs,
    /// For heavy work.
    pub cores: Cores,
    /// For large requests.
    pub room: Room,
    /// How many requests each key may make.
    pub quotas: Quotas,
}

/// Holds the agents' connections. Cannot seal, forge a row or read a key's secret.
pub struct GatewayRole {
    /// Where everything is.
    pub store: Arc<dyn Store>,
    /// Who tells of ready jobs.
    pub queue: Arc<dyn Queue>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// For ids and nonces.
    pub random: Arc<dyn Random>,
    /// What the root key says.
    pub trust: Arc<LiveTrust>,
    /// `host:port` of the gateways, told to agents.
    pub gateways: Vec<String>,
    /// How long a lease lasts after each renewal; see [`lease`](crate::lease).
    pub lease: Span,
}

/// What the operator chose.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which passwords are accepted.
    pub policy: PasswordPolicy,
    /// From acceptance to the end of every job.
    pub job_deadline: Span,
    /// `host:port` of the gateways, told to agents.
    pub gateways: Vec<String>,
    /// `host:port` of the listeners where machines enrol and nodes join, written into tokens; the
    /// gateways' where empty.
    pub enrolment: Vec<String>,
    /// Names of the API, which no node's certificate may carry.
    pub api_names: Vec<String>,
}

impl Settings {
    /// The shortest time a job may stay open: the margin before the deadline and some time to act.
    pub const SHORTEST_DEADLINE: Span = Span::from_secs(15);

    /// The longest time a job may stay open, as the trust statement promises to the agents.
    pub const LONGEST_DEADLINE: Span = Span::from_secs(3_600);

    /// `host:port` of the listeners where machines enrol and nodes join.
    pub fn enrolment_addresses(&self) -> &[String] {
        if self.enrolment.is_empty() { &self.gateways } else { &self.enrolment }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            policy: PasswordPolicy::default(),
            job_deadline: Span::from_secs(120),
            gateways: Vec::new(),
            enrolment: Vec::new(),
            api_names: Vec::new(),
        }
    }
}

/// The trust statement in force, replaced while the process runs.
#[derive(Debug)]
pub struct LiveTrust(RwLock<Arc<Trust>>);

impl LiveTrust {
    /// Begins with this one.
    pub fn new(trust: Trust) -> Self {
        Self(RwLock::new(Arc::new(trust)))
    }

    /// The one in force now. What belongs together is asked of one and the same.
    pub fn now(&self) -> Arc<Trust> {
        // Replaced as a whole, so that a panic elsewhere leaves none half-written.
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts a newer one in force. False when the one in force is as new.
    pub fn replace(&self, newer: Trust) -> bool {
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let is_newer = newer.statement.generation > held.statement.generation;
        if is_newer {
            *held = Arc::new(newer);
        }
        is_newer
    }
}

/// A trust statement, verified under the root key.
#[derive(Clone, Debug)]
pub struct Trust {
    /// The root key's public half.
    pub root: VerifyingKey,
    /// As the agents get it.
    pub signed: Signed<TrustStatement>,
    /// What it says.
    pub statement: TrustStatement,
}

/// The store's trust statement cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// Not the bytes of a statement.
    #[error("the trust statement in the store cannot be read")]
    Unreadable(#[source] minicbor::decode::Error),
    /// The root key did not sign it.
    #[error("the trust statement in the store was not signed by this deployment's root key")]
    NotSigned(#[source] SignatureError),
    /// It is another installation's.
    #[error("the trust statement in the store belongs to another deployment")]
    OtherDeployment,
    /// It does not list a key that this process holds.
    #[error("the trust statement in the store does not list this deployment's keys")]
    OtherKeys,
}

impl Trust {
    /// Checks what the store holds.
    pub fn load(row: &DeploymentRow, root: &VerifyingKey) -> Result<Self, TrustError> {
        let signed =
            Signed::<TrustStatement>::from_bytes(&row.statement).map_err(TrustError::Unreadable)?;
        let statement = signed.verify(root).map_err(TrustError::NotSigned)?;
        if statement.deployment != row.deployment {
            return Err(TrustError::OtherDeployment);
        }
        Ok(Self { root: *root, signed, statement })
    }

    /// Checks that the statement covers the keys that this process works with.
    pub fn covers(&self, keys: &dyn Keys) -> Result<(), TrustError> {
        let known = self.statement.authority(keys.authority()).is_some()
            && self.statement.row_keys.contains(&keys.row_key());
        if known { Ok(()) } else { Err(TrustError::OtherKeys) }
    }

    /// Which installation.
    pub fn deployment(&self) -> DeploymentId {
        self.statement.deployment
    }

    /// Checks signed rows.
    pub fn authenticity(&self) -> Authenticity<'_> {
        Authenticity { deployment: self.deployment(), row_keys: &self.statement.row_keys }
    }

    /// True when new jobs are refused by agents.
    pub fn has_expired(&self, now: Timestamp) -> bool {
        now > self.statement.valid_until
    }
}
