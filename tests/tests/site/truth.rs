//! What was said of a machine, beside what its disk says.

use opencpm_tests::Site;
use serde_json::Value;

/// What a task says of one machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// Status 1.
    Changed,
    /// Status 2, with a reason that excludes a change.
    NotChanged(String),
    /// Status 2, with a reason that leaves it open.
    Unknown(String),
}

/// The reasons that leave it open.
const OPEN: [&str; 4] = ["outcome_unknown", "overwritten", "verify_failed", "not_durable"];

impl Said {
    /// Of the machine with this number, by a task that has ended.
    pub(crate) fn of(site: &Site, data: &Value, number: usize) -> Self {
        let told = data["instanceIds"].as_array().expect("a list");
        let instance = site.machines[number].instance.as_str();
        let told = told.iter().find(|told| told["instanceId"] == instance).expect("its device");
        match told["status"].as_u64() {
            Some(1) => Self::Changed,
            Some(2) => {
                let reason = told["reason"].as_str().expect("a reason");
                let name = reason.split(':').next().expect("a name").to_owned();
                if OPEN.contains(&name.as_str()) {
                    Self::Unknown(name)
                } else {
                    Self::NotChanged(name)
                }
            }
            _ => panic!("not ended: {told}"),
        }
    }

    /// Whether it may be said of a machine that has the new password, or has not.
    pub(crate) fn is_true(&self, has_it: bool) -> bool {
        match self {
            Self::Changed => has_it,
            Self::NotChanged(_) => !has_it,
            Self::Unknown(_) => true,
        }
    }
}
