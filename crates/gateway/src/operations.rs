use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use opencpm_domain::{DeploymentId, GatewayId, Generation, InstanceId, JobId, Timestamp};
use opencpm_operations::connect::{Arrival, Bound, Candidate};
use opencpm_operations::deliver::Delivery;
use opencpm_operations::port::{Deliverable, QueueError, StoreError, Subscription};
use opencpm_operations::record_reports::Delivered;
use opencpm_operations::record_sealing_keys::NewSealingKey;
use opencpm_protocol::message::{EnrolRequest, Enrolled, Farewell};
use opencpm_protocol::node::{CertificateRequest, Certified};
use opencpm_protocol::sign::Signed;
use opencpm_protocol::statement::TrustStatement;

/// The use cases that a gateway calls. A seam of its own, so that tests can have the store fail
/// and hang at every step; [`Roles`](crate::Roles) is the other implementation.
///
/// Everything that takes many values is one call to the store, whatever their number.
#[async_trait]
pub trait Operations: Send + Sync + 'static {
    /// The time of day.
    fn now(&self) -> Timestamp;

    /// Bytes that nobody can guess.
    fn random(&self) -> [u8; 32];

    /// Which installation this is.
    fn deployment(&self) -> DeploymentId;

    /// How long a lease lasts, counted from the request for it.
    fn lease(&self) -> Duration;

    /// The first frame of every connection.
    fn statement(&self) -> Signed<TrustStatement>;

    /// The identity keys in force of devices and their accounts, or how to say goodbye. Those
    /// that are absent from the answer are unknown.
    async fn recognise(
        &self,
        instances: Vec<InstanceId>,
    ) -> Result<HashMap<InstanceId, Result<Candidate, Farewell>>, StoreError>;

    /// Binds devices to this gateway. Those that are absent from the answer are not recognised
    /// any more, or are connected elsewhere by a later hello.
    async fn bind(
        &self,
        gateway: GatewayId,
        arrivals: Vec<Arrival>,
    ) -> Result<Vec<Bound>, StoreError>;

    /// Ends connections; each clears only its own epoch.
    async fn unbind(
        &self,
        gateway: GatewayId,
        connections: Vec<(InstanceId, u64)>,
    ) -> Result<(), StoreError>;

    /// Jobs to send now; their attempts are committed.
    async fn deliver(
        &self,
        gateway: GatewayId,
        what: Deliverable,
    ) -> Result<Vec<Delivery>, StoreError>;

    /// Records reports, each as the device delivered it; returns those to acknowledge.
    async fn record_reports(
        &self,
        gateway: GatewayId,
        reports: Vec<Delivered>,
    ) -> Result<Vec<(InstanceId, JobId)>, StoreError>;

    /// Records sealing keys; returns those to acknowledge.
    async fn record_sealing_keys(
        &self,
        gateway: GatewayId,
        keys: Vec<NewSealingKey>,
    ) -> Result<Vec<(InstanceId, Generation)>, StoreError>;

    /// Takes or renews the lease; false when it had ended.
    async fn renew_lease(&self, gateway: GatewayId) -> Result<bool, StoreError>;

    /// Ends the lease.
    async fn end_lease(&self, gateway: GatewayId) -> Result<(), StoreError>;

    /// Makes a device, or says how to say goodbye.
    async fn enrol(&self, secret: &[u8; 32], request: &EnrolRequest) -> Result<Enrolled, Farewell>;

    /// Gives a node without the API role its certificate, or says how to say goodbye. With a
    /// token's secret, the node may be a new one.
    async fn certify(
        &self,
        secret: Option<&[u8; 32]>,
        request: &CertificateRequest,
    ) -> Result<Certified, Farewell>;

    /// What the queue says from now on.
    async fn subscribe(&self, gateway: GatewayId) -> Result<Box<dyn Subscription>, QueueError>;
}
