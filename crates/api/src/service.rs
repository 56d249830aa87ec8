//! What the edge asks of the service: one method for each operation, in terms of the domain and
//! the operations' rows, never of a dialect.

use async_trait::async_trait;
use opencpm_domain::{
    Advice, AppId, DeviceStatus, InstanceId, JobStatus, OperateStatus, Password, Reason, Refusal,
    SecretId, TaskId, TaskStatus, Timestamp, Uin,
};
use opencpm_operations::row::{
    Account, ApiKey, Attributes, Device, DeviceQuery, JobRow, LogEntry, LogQuery, Page, Scope,
    TaskRow, UsedNonce,
};
use secrecy::{SecretSlice, SecretString};

use crate::action::Operation;

/// The operations behind the API.
///
/// A refusal's message goes to the caller as it is: it names every offending id with its reason
/// and holds no secret. A method that takes a [`UsedNonce`] records it together with what it
/// changes, and answers [`opencpm_domain::Condition::Replayed`] when it was used before.
#[async_trait]
pub trait Service: Send + Sync {
    /// The caller behind a key. Refuses a key that is unknown, deleted, disabled or expired, and
    /// one whose account is blocked (contract 7.1, step 3).
    async fn caller(&self, secret_id: &SecretId) -> Result<Caller, Refusal>;

    /// Refuses a request that was accepted before (step 6). The operation that records the nonce
    /// decides in the end; asked first, so that a repeated request is called a repeated request
    /// and not a reset of a busy device.
    async fn check_unused(&self, nonce: &UsedNonce) -> Result<(), Refusal>;

    /// Refuses a request beyond the caller's quota (step 7); the operation is `None` for an
    /// unknown action. No quota unless overridden.
    async fn check_quota(
        &self,
        _caller: &Caller,
        _operation: Option<Operation>,
    ) -> Result<(), Refusal> {
        Ok(())
    }

    /// Refuses everything while the service is under maintenance (step 8).
    async fn check_maintenance(&self) -> Result<(), Refusal> {
        Ok(())
    }

    /// Contract 4.1. The task is durable when this returns.
    async fn reset_password(
        &self,
        caller: &Caller,
        nonce: UsedNonce,
        reset: ResetPassword,
    ) -> Result<TaskId, Refusal>;

    /// Contract 4.2; devices in the order of the request.
    async fn task_result(&self, caller: &Caller, task: TaskId) -> Result<TaskResult, Refusal>;

    /// Contract 4.3. A device with an open job has `has_open_job`, and shows operate status 11.
    async fn devices(&self, caller: &Caller, query: DeviceQuery) -> Result<Page<Device>, Refusal>;

    /// Contract 4.4. Status 1 only for entries whose report was checked.
    async fn operation_log(
        &self,
        caller: &Caller,
        query: LogQuery,
    ) -> Result<Page<LogEntry>, Refusal>;

    /// Contract 4.5.
    async fn agent_status(
        &self,
        caller: &Caller,
        query: DeviceQuery,
    ) -> Result<Page<AgentView>, Refusal>;

    /// A task with everything that is known of its jobs, in the order of the request.
    async fn task(&self, caller: &Caller, task: TaskId) -> Result<(TaskRow, Vec<JobRow>), Refusal>;

    /// Checks the kept reports of a task again, in the order of the request.
    async fn verify_task(
        &self,
        caller: &Caller,
        task: TaskId,
    ) -> Result<Vec<VerifiedDevice>, Refusal>;

    /// A new account.
    async fn create_account(
        &self,
        caller: &Caller,
        nonce: UsedNonce,
        account: NewAccount,
    ) -> Result<(), Refusal>;

    /// All accounts, by id.
    async fn accounts(&self, caller: &Caller) -> Result<Vec<Account>, Refusal>;

    /// A new key.
    async fn create_api_key(
        &self,
        caller: &Caller,
        nonce: UsedNonce,
        key: NewApiKey,
    ) -> Result<CreatedKey, Refusal>;

    /// Keys by secret id; of one account or of all.
    async fn api_keys(
        &self,
        caller: &Caller,
        account: Option<AppId>,
    ) -> Result<Vec<ApiKey>, Refusal>;

    /// Disables a key or enables it again.
    async fn set_key_disabled(
        &self,
        caller: &Caller,
        nonce: UsedNonce,
        key: SecretId,
        disabled: bool,
    ) -> Result<(), Refusal>;

    /// A device ahead of its enrolment; without an id, it gets one.
    async fn create_device(
        &self,
        caller: &Caller,
        nonce: UsedNonce,
        device: NewDevice,
    ) -> Result<InstanceId, Refusal>;

    /// Changes attributes of a device of any account.
    async fn modify_device(
        &self,
        caller: &Caller,
        nonce: UsedNonce,
        instance: InstanceId,
        changes: AttributeChanges,
    ) -> Result<(), Refusal>;

    /// A token with which machines enrol.
    async fn create_enrolment_token(
        &self,
        caller: &Caller,
        nonce: UsedNonce,
        token: NewEnrolmentToken,
    ) -> Result<CreatedToken, Refusal>;
}

/// Who asks.
#[derive(Clone)]
pub struct Caller {
    /// The key.
    pub secret_id: SecretId,
    /// The key's secret half, for the HMAC.
    pub secret_key: SecretSlice<u8>,
    /// SHA-256 of the token that a temporary key needs; `None` for a permanent key.
    pub token_hash: Option<[u8; 32]>,
    /// The account.
    pub app_id: AppId,
    /// The user.
    pub uin: Uin,
    /// What the key may do.
    pub scope: Scope,
}

/// One password for many devices.
#[derive(Debug)]
pub struct ResetPassword {
    /// The devices, each once, in the order of the request.
    pub instances: Vec<InstanceId>,
    /// The new password; it keeps the policy.
    pub password: Password,
}

/// How far a task is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskResult {
    /// The OR of the devices'.
    pub status: TaskStatus,
    /// In the order of the request.
    pub devices: Vec<DeviceResult>,
}

/// How far one device of a task is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceResult {
    /// The device.
    pub instance: InstanceId,
    /// Its status.
    pub status: JobStatus,
    /// Why it failed.
    pub reason: Option<Reason>,
    /// What else the operator should know.
    pub advice: Vec<Advice>,
}

/// Whether a device's agent can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentView {
    /// The device.
    pub instance: InstanceId,
    /// Contract 4.5.
    pub status: AgentStatus,
    /// As the agent told; empty before the first enrolment.
    pub version: String,
    /// When a connection was last made or ended.
    pub last_seen: Option<Timestamp>,
}

/// `agentStatus` of contract 4.5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgentStatus {
    /// Bound to a living gateway.
    Connected = 1,
    /// Enrolled, and not connected.
    NotConnected = 0,
    /// Never enrolled.
    NeverEnrolled = 2,
}

/// What a second look at a device's kept report says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedDevice {
    /// The device.
    pub instance: InstanceId,
    /// The status that the task shows.
    pub status: JobStatus,
    /// True when the machine's signature is genuine and says the same.
    pub verified: bool,
    /// One sentence.
    pub finding: String,
}

/// An account to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAccount {
    /// Its id.
    pub app_id: AppId,
    /// For people.
    pub name: String,
}

/// A key to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewApiKey {
    /// The account.
    pub app_id: AppId,
    /// The user.
    pub uin: Uin,
    /// What it may do.
    pub scope: Scope,
}

/// A key that was made. The secret is shown once.
pub struct CreatedKey {
    /// The public half.
    pub secret_id: SecretId,
    /// The secret half.
    pub secret_key: SecretString,
}

/// A device to be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDevice {
    /// The account.
    pub app_id: AppId,
    /// Its id, or one is made.
    pub instance: Option<InstanceId>,
    /// What is known of it.
    pub attributes: Attributes,
}

/// A token to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEnrolmentToken {
    /// The account that the machines come into.
    pub app_id: AppId,
    /// The one device that it enrols again.
    pub instance: Option<InstanceId>,
    /// How many machines may use it.
    pub uses: u32,
    /// How long, in seconds.
    pub valid_seconds: u64,
}

/// A token that was made. Shown once.
pub struct CreatedToken {
    /// The text to copy to a machine.
    pub token: SecretString,
    /// Refused from then on.
    pub expires: Timestamp,
}

macro_rules! attribute_changes {
    ($($field:ident: $type:ty,)*) => {
        /// New values of a device's attributes; `None` leaves one as it is.
        #[derive(Clone, Debug, PartialEq, Eq, Default)]
        pub struct AttributeChanges {
            $(#[doc = concat!("As `Attributes::", stringify!($field), "`.")]
            pub $field: Option<$type>,)*
        }

        impl AttributeChanges {
            /// Replaces what is given.
            pub fn apply(self, attributes: &mut Attributes) {
                $(if let Some(value) = self.$field { attributes.$field = value.into(); })*
            }
        }
    };
}

attribute_changes! {
    alias: String,
    lan_ip: String,
    wan_ip: String,
    mgt_ip: String,
    device_status: DeviceStatus,
    operate_status: OperateStatus,
    os_type_id: u64,
    raid_id: u64,
    zone_id: u64,
    zone: String,
    project_id: u64,
    vpc_id: u64,
    subnet_id: u64,
    un_vpc_id: String,
    un_subnet_id: String,
    deliver_time: Timestamp,
    deadline: Timestamp,
    is_vpc_gateway: bool,
    auto_renew: bool,
    device_class: String,
    device_class_code: String,
}
