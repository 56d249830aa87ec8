//! A deployment inside of a test's process: the real roles and gateways over a real store, by the
//! test's own clock.

#![forbid(unsafe_code)]
#![expect(clippy::expect_used, reason = "in a test a failed expectation is a failed test")]

mod door;

pub use door::Door;

use std::sync::Arc;

use opencpm_domain::{AppId, DeploymentId, Span, Uin};
use opencpm_operations::administer::MadeKey;
use opencpm_operations::first_start::{NewDeployment, first_start, new_root_key, plan};
use opencpm_operations::keyring::{Keyring, MasterKey};
use opencpm_operations::port::{Clock, IssueError, Issued, Issuer, Queue, Random, Store};
use opencpm_operations::role::{ApiRole, GatewayRole, LiveTrust, Settings, Trust};
use opencpm_protocol::key::VerifyingKey;
use opencpm_protocol::node::TlsPublic;
use opencpm_queue::EmbeddedQueue;

/// The deployment's id.
pub const DEPLOYMENT: DeploymentId = DeploymentId::from_bytes([5; 16]);

struct System;

impl Random for System {
    fn fill(&self, buffer: &mut [u8]) {
        getrandom::fill(buffer).expect("a random source");
    }
}

/// No node joins in these tests.
struct NoIssuer;

impl Issuer for NoIssuer {
    fn issue(&self, _: &TlsPublic, _: &[String]) -> Result<Issued, IssueError> {
        Err(IssueError("no node joins here".into()))
    }
}

/// What the roles are made of.
pub struct Parts {
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// The queue of this process.
    pub queue: Arc<dyn Queue>,
    /// The time of the process.
    pub clock: Arc<dyn Clock>,
    /// What machines pin.
    pub root: VerifyingKey,
    random: Arc<dyn Random>,
    keys: Arc<Keyring>,
    trust: Arc<LiveTrust>,
}

impl Parts {
    /// A new deployment in an empty store, with the account 1, and its first key.
    pub async fn make(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> (Self, MadeKey) {
        let random: Arc<dyn Random> = Arc::new(System);
        let root = new_root_key(&*random);
        let master = MasterKey::new(random.bytes::<32>().into());
        let new = NewDeployment {
            master: &master,
            root: &root,
            deployment: DEPLOYMENT,
            tls_certificate: Vec::new(),
            tls_key: Vec::new().into(),
            app_id: AppId::new(1).expect("a number"),
            account_name: "first".to_owned(),
            uin: Uin::parse("1").expect("a user"),
        };
        let (first, key) = plan(&*clock, Arc::clone(&random), new).expect("new keys");
        first_start(&*store, first).await.expect("an empty store");
        let row = store.deployment().await.expect("a store").expect("it was just made");
        let keys = Keyring::load(DEPLOYMENT, &master, &row.encrypted_keys, Arc::clone(&random));
        let trust = Trust::load(&row, &root.public()).expect("a statement");
        let parts = Self {
            store,
            queue: Arc::new(EmbeddedQueue::new()),
            clock,
            root: root.public(),
            random,
            keys: Arc::new(keys.expect("the same master key")),
            trust: Arc::new(LiveTrust::new(trust)),
        };
        (parts, key)
    }

    /// The API's role, as a process that starts now has it.
    pub fn api(&self) -> Arc<ApiRole> {
        Arc::new(ApiRole {
            store: Arc::clone(&self.store),
            queue: Arc::clone(&self.queue),
            clock: Arc::clone(&self.clock),
            random: Arc::clone(&self.random),
            keys: Arc::<Keyring>::clone(&self.keys),
            issuer: Arc::new(NoIssuer),
            trust: Arc::clone(&self.trust),
            settings: Settings { gateways: vec!["localhost:1".to_owned()], ..Settings::default() },
            proofs: Default::default(),
            cores: Default::default(),
            room: Default::default(),
            quotas: Default::default(),
        })
    }

    /// The role of a gateway with leases of this length.
    pub fn gateway(&self, lease: Span) -> GatewayRole {
        GatewayRole {
            store: Arc::clone(&self.store),
            queue: Arc::clone(&self.queue),
            clock: Arc::clone(&self.clock),
            random: Arc::clone(&self.random),
            trust: Arc::clone(&self.trust),
            gateways: Vec::new(),
            lease,
        }
    }
}
