//! The two dialects: what an operation is called in each, and where its answer says what.

use serde_json::{Value, json};

/// Of the contract, section 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// API 2.0.
    V2,
    /// API 3.0.
    V3,
}

/// What a client may be able to do (contract section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ability {
    Reset,
    Task,
    Devices,
    Log,
    AgentStatus,
    /// No action: the token that goes with a temporary key.
    Token,
}

/// Status numbers of tasks and of their devices (contract section 5).
pub(crate) const SUCCEEDED: u64 = 1;
/// While a device is open.
pub(crate) const INCOMPLETE: u64 = 4;

impl Dialect {
    /// The action's name; none where the dialect has none.
    pub(crate) fn action(self, ability: Ability) -> Option<&'static str> {
        let (v2, v3) = match ability {
            Ability::Reset => ("ResetDevicePasswd", Some("ResetDevicePassword")),
            Ability::Task => ("DescriptionOperationResult", Some("DescribeOperationResult")),
            Ability::Devices => ("DescribeDevice", Some("DescribeDevices")),
            Ability::Log => ("DescribeDeviceOperationLog", Some("DescribeDeviceOperationLog")),
            Ability::AgentStatus => ("DescribeBmAgentStatus", None),
            Ability::Token => return None,
        };
        match self {
            Self::V2 => Some(v2),
            Self::V3 => v3,
        }
    }

    pub(crate) fn reset(self, devices: &[&str], password: &str) -> Value {
        match self {
            Self::V2 => json!({"instanceIds": devices, "passwd": password}),
            Self::V3 => json!({"InstanceIds": devices, "Password": password}),
        }
    }

    pub(crate) fn task(self, task: u64) -> Value {
        match self {
            Self::V2 => json!({"taskId": task}),
            Self::V3 => json!({"TaskId": task}),
        }
    }

    /// At most so many of these devices, from an offset on.
    pub(crate) fn devices(self, ids: &[&str], (offset, limit): (u64, u64)) -> Value {
        match self {
            Self::V2 => json!({"instanceIds": ids, "offset": offset, "limit": limit}),
            Self::V3 => json!({"InstanceIds": ids, "Offset": offset, "Limit": limit}),
        }
    }

    pub(crate) fn log(self, device: &str) -> Value {
        match self {
            Self::V2 => json!({"instanceId": device}),
            Self::V3 => json!({"InstanceId": device}),
        }
    }

    /// The task that a reset began.
    pub(crate) fn task_id(self, answer: &Value) -> u64 {
        let id = match self {
            Self::V2 => &answer["taskId"],
            Self::V3 => &answer["TaskId"],
        };
        id.as_u64().unwrap_or_else(|| panic!("no task id, as a number, in {answer}"))
    }

    /// The task's status, and each device with its own, in their order.
    pub(crate) fn task_status(self, answer: &Value) -> (u64, Vec<(String, u64)>) {
        let (status, devices, names) = match self {
            Self::V2 => (&answer["status"], &answer["instanceIds"], ["instanceId", "status"]),
            Self::V3 => {
                let devices = &answer["SubtaskStatusSet"];
                (&answer["TaskStatus"], devices, ["InstanceId", "TaskStatus"])
            }
        };
        if self == Self::V2 {
            assert_eq!(answer["resourceIds"], *devices, "both names of the list");
        }
        let [id, own] = names;
        let devices = list(devices).map(|device| (text(&device[id]), number(&device[own])));
        (number(status), devices.collect())
    }

    /// How many devices match, and those of the page with their operate status.
    pub(crate) fn device_page(self, answer: &Value) -> (u64, Vec<(String, u64)>) {
        match self {
            Self::V2 => {
                let devices = list(&answer["deviceList"]);
                let devices =
                    devices.map(|one| (text(&one["instanceId"]), decimal(&one["operateStatus"])));
                (number(&answer["totalNum"]), devices.collect())
            }
            Self::V3 => {
                let devices = list(&answer["DeviceInfoSet"]);
                let devices =
                    devices.map(|one| (text(&one["InstanceId"]), number(&one["OperateStatus"])));
                (number(&answer["TotalCount"]), devices.collect())
            }
        }
    }

    /// The tasks of the log, newest first, with their names and status.
    pub(crate) fn log_entries(self, answer: &Value) -> Vec<(u64, String, u64)> {
        match self {
            Self::V2 => list(&answer["logs"])
                .map(|entry| {
                    let (task, status) = (&entry["taskId"], &entry["status"]);
                    (decimal(task), text(&entry["taskName"]), decimal(status))
                })
                .collect(),
            Self::V3 => list(&answer["DeviceOperationLogSet"])
                .map(|entry| {
                    let (task, status) = (&entry["TaskId"], &entry["Status"]);
                    (number(task), text(&entry["TaskName"]), number(status))
                })
                .collect(),
        }
    }
}

pub(crate) fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().unwrap_or_else(|| panic!("not a list: {value}")).iter()
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}")).to_owned()
}

pub(crate) fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("not a number: {value}"))
}

/// A number as text, as in the lists of API 2.0.
fn decimal(value: &Value) -> u64 {
    text(value).parse().unwrap_or_else(|_| panic!("not a decimal text: {value}"))
}
