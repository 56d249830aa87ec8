//! What the edge asks of the service: one method for each operation, in the operations' own
//! terms, never in a dialect's.

mod by_role;

use async_trait::async_trait;
use opencpm_domain::{AppId, InstanceId, Refusal, SecretId, TaskId};
use opencpm_operations::administer::{
    Administrator, MadeKey, MadeTemporaryKey, MadeToken, NewApiKey, NewDevice, NewEnrolmentToken,
    NewNodeToken, NewTemporaryKey,
};
use opencpm_operations::agent_status::AgentStatus;
use opencpm_operations::authenticate::{Caller, KnownKey};
use opencpm_operations::describe_devices::DescribedDevices;
use opencpm_operations::operation_log::LogRequest;
use opencpm_operations::operation_result::{OperationResult, TaskVerification};
use opencpm_operations::reset_password::ResetPassword;
use opencpm_operations::row::{
    Account, ApiKey, AttributeChanges, DeviceQuery, LogEntry, Maintenance, Node, NodeId, Page,
    Unique,
};

use crate::action::Operation;

/// The operations behind the API. An [`opencpm_operations::role::ApiRole`] is one; tests bring
/// their own.
///
/// A refusal's message goes to the caller as it is.
#[async_trait]
pub trait Service: Send + Sync {
    /// The key behind a secret id (contract 7.1, step 3).
    async fn known_key(&self, secret_id: &SecretId) -> Result<KnownKey, Refusal>;

    /// Refuses a request that was accepted before, or tells the task that it became (step 6).
    async fn check_unused(&self, unique: &Unique) -> Result<Option<TaskId>, Refusal>;

    /// Refuses a request beyond the caller's quota (step 7), or counts it; the operation is `None`
    /// for an unknown action.
    async fn check_quota(
        &self,
        caller: &Caller,
        operation: Option<Operation>,
    ) -> Result<(), Refusal>;

    /// Contract 4.1. The task is durable when this returns.
    async fn reset_password(
        &self,
        caller: &Caller,
        request: ResetPassword,
    ) -> Result<TaskId, Refusal>;

    /// Contract 4.2.
    async fn operation_result(
        &self,
        caller: &Caller,
        task: TaskId,
    ) -> Result<OperationResult, Refusal>;

    /// Contract 4.3.
    async fn describe_devices(
        &self,
        caller: &Caller,
        query: DeviceQuery,
    ) -> Result<DescribedDevices, Refusal>;

    /// Contract 4.4.
    async fn operation_log(
        &self,
        caller: &Caller,
        request: LogRequest,
    ) -> Result<Page<LogEntry>, Refusal>;

    /// Contract 4.5.
    async fn agent_status(
        &self,
        caller: &Caller,
        request: AgentRequest,
    ) -> Result<Page<AgentStatus>, Refusal>;

    /// Checks a task's kept reports again.
    async fn verify_task(&self, caller: &Caller, task: TaskId)
    -> Result<TaskVerification, Refusal>;

    /// A new account.
    async fn create_account(
        &self,
        by: Administrator,
        app_id: AppId,
        name: String,
    ) -> Result<Account, Refusal>;

    /// Renames, blocks or unblocks an account.
    async fn modify_account(
        &self,
        by: Administrator,
        app_id: AppId,
        name: Option<String>,
        blocked: Option<bool>,
    ) -> Result<Account, Refusal>;

    /// All accounts.
    async fn describe_accounts(&self) -> Result<Vec<Account>, Refusal>;

    /// A new key.
    async fn create_api_key(&self, by: Administrator, key: NewApiKey) -> Result<MadeKey, Refusal>;

    /// A key for a while, of any key with no more than its own rights.
    async fn create_temporary_key(
        &self,
        by: Administrator,
        key: NewTemporaryKey,
    ) -> Result<MadeTemporaryKey, Refusal>;

    /// Keys of one account or of all.
    async fn describe_api_keys(&self, account: Option<AppId>) -> Result<Vec<ApiKey>, Refusal>;

    /// Disables a key or enables it again.
    async fn disable_api_key(
        &self,
        by: Administrator,
        key: SecretId,
        disabled: bool,
    ) -> Result<(), Refusal>;

    /// A device ahead of its enrolment.
    async fn create_device(
        &self,
        by: Administrator,
        device: NewDevice,
    ) -> Result<InstanceId, Refusal>;

    /// Changes attributes of a device of any account.
    async fn modify_device(
        &self,
        by: Administrator,
        instance: InstanceId,
        changes: AttributeChanges,
    ) -> Result<(), Refusal>;

    /// A token with which machines enrol.
    async fn create_enrolment_token(
        &self,
        by: Administrator,
        token: NewEnrolmentToken,
    ) -> Result<MadeToken, Refusal>;

    /// A token with which nodes without the API role join.
    async fn create_node_token(
        &self,
        by: Administrator,
        token: NewNodeToken,
    ) -> Result<MadeToken, Refusal>;

    /// All nodes without the API role.
    async fn describe_nodes(&self) -> Result<Vec<Node>, Refusal>;

    /// Gives a node no certificate any more.
    async fn revoke_node(&self, by: Administrator, node: NodeId) -> Result<(), Refusal>;

    /// Begins maintenance with a message for callers; `None` ends it.
    async fn modify_maintenance(
        &self,
        by: Administrator,
        message: Option<String>,
    ) -> Result<(), Refusal>;

    /// Whether there is maintenance.
    async fn describe_maintenance(&self) -> Result<Option<Maintenance>, Refusal>;
}

/// Which agents to tell of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentRequest {
    /// Only these devices; empty for all of the caller's.
    pub instances: Vec<InstanceId>,
    /// Skip so many.
    pub offset: u64,
    /// At most so many.
    pub limit: u64,
}
