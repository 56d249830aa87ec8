//! A gateway that can be cut off.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use opencpm_domain::{DeploymentId, GatewayId, Generation, InstanceId, JobId, Timestamp};
use opencpm_gateway::{Operations, Roles};
use opencpm_operations::connect::{Arrival, Bound, Candidate};
use opencpm_operations::deliver::Delivery;
use opencpm_operations::port::{Deliverable, QueueError, StoreError, Subscription};
use opencpm_operations::record_reports::Delivered;
use opencpm_operations::record_sealing_keys::NewSealingKey;
use opencpm_protocol::message::{EnrolRequest, Enrolled, Farewell};
use opencpm_protocol::node::{CertificateRequest, Certified};
use opencpm_protocol::sign::Signed;
use opencpm_protocol::statement::TrustStatement;
use tokio::sync::{OwnedRwLockWriteGuard, RwLock};

/// A gateway's way to the operations, which can be closed.
pub struct Door {
    /// What is behind it.
    pub roles: Roles,
    open: Arc<RwLock<()>>,
}

impl Door {
    /// An open one.
    pub fn new(roles: Roles) -> Self {
        Self { roles, open: Arc::default() }
    }

    /// While this is held, the gateway asks for nothing, nothing of it is under way, and nobody
    /// hears of that.
    pub async fn close(&self) -> OwnedRwLockWriteGuard<()> {
        Arc::clone(&self.open).write_owned().await
    }
}

#[async_trait]
impl Operations for Door {
    fn now(&self) -> Timestamp {
        self.roles.now()
    }

    fn random(&self) -> [u8; 32] {
        self.roles.random()
    }

    fn deployment(&self) -> DeploymentId {
        self.roles.deployment()
    }

    fn lease(&self) -> Duration {
        self.roles.lease()
    }

    fn statement(&self) -> Signed<TrustStatement> {
        self.roles.statement()
    }

    async fn recognise(
        &self,
        instances: Vec<InstanceId>,
    ) -> Result<HashMap<InstanceId, Result<Candidate, Farewell>>, StoreError> {
        let _inside = self.open.read().await;
        self.roles.recognise(instances).await
    }

    async fn bind(
        &self,
        gateway: GatewayId,
        arrivals: Vec<Arrival>,
    ) -> Result<Vec<Bound>, StoreError> {
        let _inside = self.open.read().await;
        self.roles.bind(gateway, arrivals).await
    }

    async fn unbind(
        &self,
        gateway: GatewayId,
        connections: Vec<(InstanceId, u64)>,
    ) -> Result<(), StoreError> {
        let _inside = self.open.read().await;
        self.roles.unbind(gateway, connections).await
    }

    async fn deliver(
        &self,
        gateway: GatewayId,
        what: Deliverable,
    ) -> Result<Vec<Delivery>, StoreError> {
        let _inside = self.open.read().await;
        self.roles.deliver(gateway, what).await
    }

    async fn record_reports(
        &self,
        gateway: GatewayId,
        reports: Vec<Delivered>,
    ) -> Result<Vec<(InstanceId, JobId)>, StoreError> {
        let _inside = self.open.read().await;
        self.roles.record_reports(gateway, reports).await
    }

    async fn record_sealing_keys(
        &self,
        gateway: GatewayId,
        keys: Vec<NewSealingKey>,
    ) -> Result<Vec<(InstanceId, Generation)>, StoreError> {
        let _inside = self.open.read().await;
        self.roles.record_sealing_keys(gateway, keys).await
    }

    async fn renew_lease(&self, gateway: GatewayId) -> Result<bool, StoreError> {
        let _inside = self.open.read().await;
        self.roles.renew_lease(gateway).await
    }

    async fn end_lease(&self, gateway: GatewayId) -> Result<(), StoreError> {
        let _inside = self.open.read().await;
        self.roles.end_lease(gateway).await
    }

    async fn enrol(&self, secret: &[u8; 32], request: &EnrolRequest) -> Result<Enrolled, Farewell> {
        let _inside = self.open.read().await;
        self.roles.enrol(secret, request).await
    }

    async fn certify(
        &self,
        secret: Option<&[u8; 32]>,
        request: &CertificateRequest,
    ) -> Result<Certified, Farewell> {
        let _inside = self.open.read().await;
        self.roles.certify(secret, request).await
    }

    async fn subscribe(&self, gateway: GatewayId) -> Result<Box<dyn Subscription>, QueueError> {
        self.roles.subscribe(gateway).await
    }
}
