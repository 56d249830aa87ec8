use async_trait::async_trait;
use opencpm_domain::{AppId, InstanceId, Refusal, SecretId, TaskId};
use opencpm_operations::administer::{
    self, Administrator, MadeKey, MadeTemporaryKey, MadeToken, NewApiKey, NewDevice,
    NewEnrolmentToken, NewNodeToken, NewTemporaryKey,
};
use opencpm_operations::agent_status::{self, AgentStatus};
use opencpm_operations::authenticate::{self, Caller, KnownKey};
use opencpm_operations::describe_devices::{self, DescribedDevices};
use opencpm_operations::operation_log::{self, LogRequest};
use opencpm_operations::operation_result::{self, OperationResult, TaskVerification};
use opencpm_operations::reset_password::{self, ResetPassword};
use opencpm_operations::role::ApiRole;
use opencpm_operations::row::{
    Account, ApiKey, AttributeChanges, DeviceQuery, LogEntry, Maintenance, Node, NodeId, Page,
    Unique,
};

use super::{AgentRequest, Service};
use crate::action::Operation;

/// Each method is the operation of the same name.
#[async_trait]
impl Service for ApiRole {
    async fn known_key(&self, secret_id: &SecretId) -> Result<KnownKey, Refusal> {
        authenticate::known_key(self, secret_id).await
    }

    async fn check_unused(&self, unique: &Unique) -> Result<Option<TaskId>, Refusal> {
        authenticate::check_unused(self, unique).await
    }

    async fn check_quota(
        &self,
        caller: &Caller,
        operation: Option<Operation>,
    ) -> Result<(), Refusal> {
        self.quotas.check(caller, operation.map(Operation::name), self.clock.now()).await
    }

    async fn reset_password(
        &self,
        caller: &Caller,
        request: ResetPassword,
    ) -> Result<TaskId, Refusal> {
        reset_password::reset_password(self, caller, request).await
    }

    async fn operation_result(
        &self,
        caller: &Caller,
        task: TaskId,
    ) -> Result<OperationResult, Refusal> {
        operation_result::operation_result(self, caller, task).await
    }

    async fn describe_devices(
        &self,
        caller: &Caller,
        query: DeviceQuery,
    ) -> Result<DescribedDevices, Refusal> {
        describe_devices::describe_devices(self, caller, query).await
    }

    async fn operation_log(
        &self,
        caller: &Caller,
        request: LogRequest,
    ) -> Result<Page<LogEntry>, Refusal> {
        operation_log::operation_log(self, caller, request).await
    }

    async fn agent_status(
        &self,
        caller: &Caller,
        request: AgentRequest,
    ) -> Result<Page<AgentStatus>, Refusal> {
        let AgentRequest { instances, offset, limit } = request;
        agent_status::agent_status(self, caller, instances, offset, limit).await
    }

    async fn verify_task(
        &self,
        caller: &Caller,
        task: TaskId,
    ) -> Result<TaskVerification, Refusal> {
        operation_result::verify_task(self, caller, task).await
    }

    async fn create_account(
        &self,
        by: Administrator,
        app_id: AppId,
        name: String,
    ) -> Result<Account, Refusal> {
        administer::create_account(self, by, app_id, name).await
    }

    async fn modify_account(
        &self,
        by: Administrator,
        app_id: AppId,
        name: Option<String>,
        blocked: Option<bool>,
    ) -> Result<Account, Refusal> {
        administer::modify_account(self, by, app_id, name, blocked).await
    }

    async fn describe_accounts(&self) -> Result<Vec<Account>, Refusal> {
        administer::describe_accounts(self).await
    }

    async fn create_api_key(&self, by: Administrator, key: NewApiKey) -> Result<MadeKey, Refusal> {
        administer::create_api_key(self, by, key).await
    }

    async fn create_temporary_key(
        &self,
        by: Administrator,
        key: NewTemporaryKey,
    ) -> Result<MadeTemporaryKey, Refusal> {
        administer::create_temporary_key(self, by, key).await
    }

    async fn describe_api_keys(&self, account: Option<AppId>) -> Result<Vec<ApiKey>, Refusal> {
        administer::describe_api_keys(self, account).await
    }

    async fn disable_api_key(
        &self,
        by: Administrator,
        key: SecretId,
        disabled: bool,
    ) -> Result<(), Refusal> {
        administer::disable_api_key(self, by, &key, disabled).await
    }

    async fn create_device(
        &self,
        by: Administrator,
        device: NewDevice,
    ) -> Result<InstanceId, Refusal> {
        administer::create_device(self, by, device).await
    }

    async fn modify_device(
        &self,
        by: Administrator,
        instance: InstanceId,
        changes: AttributeChanges,
    ) -> Result<(), Refusal> {
        administer::modify_device(self, by, &instance, changes).await
    }

    async fn create_enrolment_token(
        &self,
        by: Administrator,
        token: NewEnrolmentToken,
    ) -> Result<MadeToken, Refusal> {
        administer::create_enrolment_token(self, by, token).await
    }

    async fn create_node_token(
        &self,
        by: Administrator,
        token: NewNodeToken,
    ) -> Result<MadeToken, Refusal> {
        administer::create_node_token(self, by, token).await
    }

    async fn describe_nodes(&self) -> Result<Vec<Node>, Refusal> {
        administer::describe_nodes(self).await
    }

    async fn revoke_node(&self, by: Administrator, node: NodeId) -> Result<(), Refusal> {
        administer::revoke_node(self, by, node).await
    }

    async fn modify_maintenance(
        &self,
        by: Administrator,
        message: Option<String>,
    ) -> Result<(), Refusal> {
        administer::modify_maintenance(self, by, message).await
    }

    async fn describe_maintenance(&self) -> Result<Option<Maintenance>, Refusal> {
        administer::describe_maintenance(self).await
    }
}
