use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use opencpm_domain::{DeploymentId, GatewayId, Generation, InstanceId, JobId, Timestamp};
use opencpm_operations::connect::{self, Arrival, Bound, Candidate, Recognition};
use opencpm_operations::deliver::{self, Delivery};
use opencpm_operations::port::{Deliverable, QueueError, StoreError, Subscription};
use opencpm_operations::record_reports::{self, Delivered};
use opencpm_operations::record_sealing_keys::{self, NewSealingKey};
use opencpm_operations::role::{ApiRole, GatewayRole};
use opencpm_operations::{certify_node, enrol, lease};
use opencpm_protocol::message::{EnrolRequest, Enrolled, Farewell};
use opencpm_protocol::node::{CertificateRequest, Certified};
use opencpm_protocol::sign::Signed;
use opencpm_protocol::statement::TrustStatement;

use crate::operations::Operations;

/// The operations themselves, with what this process's roles are given.
pub struct Roles {
    /// Everything but enrolment.
    pub gateway: GatewayRole,
    /// Where the process has the API role too: then machines enrol here, and nodes join.
    pub enrolment: Option<Arc<ApiRole>>,
}

#[async_trait]
impl Operations for Roles {
    fn now(&self) -> Timestamp {
        self.gateway.clock.now()
    }

    fn random(&self) -> [u8; 32] {
        self.gateway.random.bytes()
    }

    fn deployment(&self) -> DeploymentId {
        self.gateway.trust.now().deployment()
    }

    fn lease(&self) -> Duration {
        Duration::from_micros(self.gateway.lease.as_micros())
    }

    fn statement(&self) -> Signed<TrustStatement> {
        self.gateway.trust.now().signed.clone()
    }

    async fn recognise(
        &self,
        instances: Vec<InstanceId>,
    ) -> Result<HashMap<InstanceId, Result<Candidate, Farewell>>, StoreError> {
        let recognised = connect::recognise(&self.gateway, instances).await?;
        let told = |(instance, candidate): Recognition| {
            let candidate = candidate.map_err(|refusal| {
                let error = &refusal as &dyn std::error::Error;
                tracing::info!(%instance, error, "a device is not let in");
                refusal.farewell()
            });
            (instance, candidate)
        };
        Ok(recognised.into_iter().map(told).collect())
    }

    async fn bind(
        &self,
        gateway: GatewayId,
        arrivals: Vec<Arrival>,
    ) -> Result<Vec<Bound>, StoreError> {
        connect::bind(&self.gateway, gateway, arrivals).await
    }

    async fn unbind(
        &self,
        gateway: GatewayId,
        connections: Vec<(InstanceId, u64)>,
    ) -> Result<(), StoreError> {
        connect::unbind(&self.gateway, gateway, connections).await
    }

    async fn deliver(
        &self,
        gateway: GatewayId,
        what: Deliverable,
    ) -> Result<Vec<Delivery>, StoreError> {
        deliver::deliver(&self.gateway, gateway, what).await
    }

    async fn record_reports(
        &self,
        gateway: GatewayId,
        reports: Vec<Delivered>,
    ) -> Result<Vec<(InstanceId, JobId)>, StoreError> {
        record_reports::record_reports(&self.gateway, gateway, reports).await
    }

    async fn record_sealing_keys(
        &self,
        gateway: GatewayId,
        keys: Vec<NewSealingKey>,
    ) -> Result<Vec<(InstanceId, Generation)>, StoreError> {
        record_sealing_keys::record_sealing_keys(&self.gateway, gateway, keys).await
    }

    async fn renew_lease(&self, gateway: GatewayId) -> Result<bool, StoreError> {
        lease::renew(&self.gateway, gateway).await
    }

    async fn end_lease(&self, gateway: GatewayId) -> Result<(), StoreError> {
        lease::end(&self.gateway, gateway).await
    }

    async fn enrol(&self, secret: &[u8; 32], request: &EnrolRequest) -> Result<Enrolled, Farewell> {
        // A token carries the address of an API node; this is none, and others are there.
        let role = self.enrolment.as_ref().ok_or(Farewell::Unavailable)?;
        enrol::enrol(role, secret, request).await.map_err(|refusal| {
            let error = &refusal as &dyn std::error::Error;
            tracing::info!(error, "a machine is not enrolled");
            refusal.farewell()
        })
    }

    async fn certify(
        &self,
        secret: Option<&[u8; 32]>,
        request: &CertificateRequest,
    ) -> Result<Certified, Farewell> {
        let role = self.enrolment.as_ref().ok_or(Farewell::Unavailable)?;
        certify_node::certify_node(role, secret, request).await.map_err(|refusal| {
            let (node, error) = (request.node.key_id(), &refusal as &dyn std::error::Error);
            tracing::info!(%node, error, "a node gets no certificate");
            refusal.farewell()
        })
    }

    async fn subscribe(&self, gateway: GatewayId) -> Result<Box<dyn Subscription>, QueueError> {
        self.gateway.queue.subscribe(gateway).await
    }
}
