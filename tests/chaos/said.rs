//! What a task says of each of its devices.

use serde_json::Value;

use crate::door::Dialect;

/// Of one device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// Status 4.
    Open,
    /// Status 1.
    Changed,
    /// Status 2, with a reason that excludes a change, by its name.
    NotChanged(String),
    /// Status 2, with a reason that leaves it open.
    Unknown(String),
    /// Status 2, in the dialect that knows no reasons.
    Failed,
}

/// The reasons that leave it open.
const OPEN: [&str; 5] =
    ["outcome_unknown", "overwritten", "verify_failed", "not_durable", "forgotten"];

/// The server's guesses, which a machine may correct.
const GUESSES: [&str; 3] = ["not_delivered", "re_enrolled", "retired"];

impl Said {
    /// Of the devices with these ids, in this order. Fails where the answer has another form,
    /// other devices, or a status that is not the sum of theirs (contract 4.2, section 5).
    pub(crate) fn all(dialect: Dialect, data: &Value, ids: &[&str]) -> Result<Vec<Self>, String> {
        let (list, names, status) = match dialect {
            Dialect::V2 => ("instanceIds", ["instanceId", "status"], "status"),
            Dialect::V3 => ("SubtaskStatusSet", ["InstanceId", "TaskStatus"], "TaskStatus"),
        };
        let devices = data[list].as_array().ok_or("no list of devices")?;
        if !devices.iter().map(|one| one[names[0]].as_str()).eq(ids.iter().copied().map(Some)) {
            return Err(format!("not the devices of the request: {data}"));
        }
        let sum = devices.iter().filter_map(|one| one[names[1]].as_u64()).fold(0, |a, b| a | b);
        if data[status].as_u64() != Some(sum) {
            return Err(format!("the status is not the sum of the devices': {data}"));
        }
        devices.iter().map(|one| Self::of(dialect, &one[names[1]], &one["reason"])).collect()
    }

    fn of(dialect: Dialect, status: &Value, reason: &Value) -> Result<Self, String> {
        match (status.as_u64(), dialect) {
            (Some(4), _) => Ok(Self::Open),
            (Some(1), _) => Ok(Self::Changed),
            (Some(2), Dialect::V3) => Ok(Self::Failed),
            (Some(2), Dialect::V2) => {
                let name = reason.as_str().and_then(|reason| reason.split(':').next());
                let name = name.ok_or("a failure without a reason")?.to_owned();
                let open = OPEN.contains(&name.as_str());
                Ok(if open { Self::Unknown(name) } else { Self::NotChanged(name) })
            }
            _ => Err(format!("no status of a device: {status}")),
        }
    }

    /// Whether the same device may be told to be so later.
    pub(crate) fn may_become(&self, later: &Self) -> bool {
        match self {
            Self::Open => true,
            Self::Changed => *later == Self::Changed,
            Self::NotChanged(reason) if GUESSES.contains(&reason.as_str()) => *later != Self::Open,
            Self::NotChanged(_) => later == self || *later == Self::Failed,
            Self::Unknown(_) | Self::Failed => *later != Self::Open,
        }
    }

    /// For counting.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Open => "open",
            Self::Changed => "succeeded",
            Self::NotChanged(reason) | Self::Unknown(reason) => reason,
            Self::Failed => "failed",
        }
    }
}
