//! What the service answers (contract sections 4 and 7), as far as the command line shows it.

use serde::Deserialize;
use serde_json::Value;

/// The frame of every answer.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer {
    pub(super) code: i64,
    #[serde(default)]
    pub(super) message: String,
    #[serde(default)]
    pub(super) code_desc: String,
    #[serde(default)]
    pub(super) data: Value,
}

/// `ResetDevicePasswd`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Accepted {
    /// The task.
    pub(crate) task_id: u64,
}

/// `DescriptionOperationResult`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OperationResult {
    /// The machines, in the order of the request.
    pub(crate) instance_ids: Vec<MachineResult>,
}

/// One machine of a task.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MachineResult {
    /// Which.
    pub(crate) instance_id: String,
    /// 1, 2 or 4.
    pub(crate) status: u8,
    /// Why it failed.
    #[serde(default)]
    pub(crate) reason: String,
    /// What else the operator should know.
    #[serde(default)]
    pub(crate) advice: Vec<AdviceText>,
}

/// Something that the operator should know.
#[derive(Deserialize)]
pub(crate) struct AdviceText {
    /// Its stable name.
    pub(crate) code: String,
    /// A sentence.
    pub(crate) text: String,
}

/// `DescribeDevice`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Devices {
    /// This page.
    pub(crate) device_list: Vec<Value>,
}

/// `DescribeBmAgentStatus`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Agents {
    /// This page.
    pub(crate) agent_list: Vec<AgentStatus>,
}

/// One machine's agent.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AgentStatus {
    /// 1 connected, 0 not connected, 2 never enrolled.
    pub(crate) agent_status: u8,
    /// As it told.
    pub(crate) agent_version: String,
}

/// `CreateApiKey`, `CreateTemporaryKey`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NewKey {
    /// The public half.
    pub(crate) secret_id: String,
    /// The secret half; in this answer and nowhere else.
    pub(crate) secret_key: secrecy::SecretString,
    /// Of a temporary key; goes with each of its requests.
    #[serde(default)]
    pub(crate) token: Option<secrecy::SecretString>,
}

/// `CreateEnrolmentToken`.
#[derive(Deserialize)]
pub(crate) struct NewToken {
    /// The text to copy to the machine.
    pub(crate) token: secrecy::SecretString,
}
