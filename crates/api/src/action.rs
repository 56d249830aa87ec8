//! The action table: for both dialects, what can be asked, with which parameters, and how it can
//! be refused. Decoding, the check for unknown parameters, bounds and the documentation of the
//! API all read this table, so a rule is written once.
//!
//! To add an action: an [`Operation`], a row in `table.rs`, its input in `input.rs`, a method of
//! [`crate::service::Service`], and its answer in each dialect.

mod administration;
mod arguments;
mod given;
mod input;
mod kind;
mod parameter;
mod table;
mod tags;

pub use kind::{Kind, MOST_ITEMS};
pub use table::ACTIONS;

pub(crate) use arguments::{Arguments, decode_form, decode_json};
pub(crate) use input::{Change, Context, Input, What};
pub(crate) use tags::names as tag_names;

use opencpm_domain::Condition;

use crate::answer::Shape;
use crate::dialect::{COMMON, Dialect};

/// What the service can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Contract 4.1.
    ResetPassword,
    /// Contract 4.2.
    OperationResult,
    /// Contract 4.3.
    DescribeDevices,
    /// Contract 4.4.
    OperationLog,
    /// Contract 4.5.
    AgentStatus,
    /// Everything about a task: reasons, advice, times.
    DescribeTask,
    /// Checks the machines' kept reports again.
    VerifyTask,
    /// A new account.
    CreateAccount,
    /// Name or block of an account.
    ModifyAccount,
    /// All accounts.
    DescribeAccounts,
    /// A new API key; its secret is in the answer and nowhere else.
    CreateApiKey,
    /// A key for a while, with no more rights than the one that makes it.
    CreateTemporaryKey,
    /// API keys without their secrets.
    DescribeApiKeys,
    /// Disables a key or enables it again.
    ModifyApiKey,
    /// A device ahead of its enrolment.
    CreateDevice,
    /// Attributes of a device.
    ModifyDevice,
    /// A token with which machines enrol.
    CreateEnrolmentToken,
    /// A token with which nodes without the API role join.
    CreateNodeToken,
    /// All such nodes.
    DescribeNodes,
    /// Gives a node no certificate any more.
    RevokeNode,
    /// Maintenance: refuses changes.
    ModifyMaintenance,
    /// Whether there is maintenance.
    DescribeMaintenance,
}

/// One row of the table.
#[derive(Debug)]
pub struct Action {
    /// What it does.
    pub operation: Operation,
    /// API 2.0 names; the first is the one that permissions and logs use.
    pub names: &'static [&'static str],
    /// API 3.0 name; `None` where the operation has no action there.
    pub name_v3: Option<&'static str>,
    /// Who may use it.
    pub access: Access,
    /// True when it changes something, so that a request counts once (contract 2.6).
    pub mutates: bool,
    /// What it takes.
    pub parameters: &'static [Accepted],
    /// What it answers: `data` of API 2.0, `Response` of API 3.0 without `RequestId`.
    pub answer: &'static Shape,
    /// The module conditions that it can answer (contract 7.3), besides those of every action.
    pub raises: &'static [Condition],
    /// One sentence.
    pub meaning: &'static str,
}

/// Who may use an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Every key, for its own account.
    Account,
    /// Keys with the admin permission, for every account.
    Admin,
}

/// A parameter as one action takes it.
#[derive(Clone, Copy, Debug)]
pub struct Accepted {
    /// Which.
    pub parameter: &'static Parameter,
    /// Refused without it.
    pub required: bool,
}

/// A parameter: its names, and what its values are.
#[derive(Debug)]
pub struct Parameter {
    /// API 2.0 name, without the `.n` of a list.
    pub name: &'static str,
    /// API 3.0 name; `None` where that dialect has none.
    pub name_v3: Option<&'static str>,
    /// Type and bounds.
    pub kind: Kind,
    /// One sentence.
    pub meaning: &'static str,
}

impl Operation {
    /// The name that permissions, quotas and logs use.
    pub fn name(self) -> &'static str {
        let action = ACTIONS.iter().find(|action| action.operation == self);
        action.map(Action::name).unwrap_or_default()
    }
}

impl Action {
    /// The action that the dialect calls so; case matters.
    pub fn named(name: &str, dialect: Dialect) -> Option<&'static Self> {
        ACTIONS.iter().find(|action| match dialect {
            Dialect::V2 => action.names.contains(&name),
            Dialect::V3 => action.name_v3 == Some(name),
        })
    }

    /// Whether it rests while the service is under maintenance: what changes something does, but
    /// for the end of the maintenance itself, and for what keeps a stolen key away.
    pub fn rests_in_maintenance(&self) -> bool {
        use Operation::{ModifyAccount, ModifyApiKey, ModifyMaintenance};
        self.mutates && ![ModifyMaintenance, ModifyApiKey, ModifyAccount].contains(&self.operation)
    }

    /// The name that permissions and logs use.
    pub fn name(&self) -> &'static str {
        self.names.first().copied().unwrap_or_default()
    }

    /// What the dialect calls it.
    pub fn name_in(&self, dialect: Dialect) -> &'static str {
        match dialect {
            Dialect::V2 => self.name(),
            Dialect::V3 => self.name_v3.unwrap_or_default(),
        }
    }
}

impl Parameter {
    /// What the dialect calls it.
    pub fn name_in(&self, dialect: Dialect) -> Option<&'static str> {
        match dialect {
            Dialect::V2 => Some(self.name),
            Dialect::V3 => self.name_v3,
        }
    }
}

/// True for a name that the table knows, lists with their index included: such a name may be put
/// into a message, while an unknown one may be a piece of a password that was not encoded.
pub(crate) fn is_known_name(name: &str) -> bool {
    let (base, index) = name.split_once('.').unwrap_or((name, "0"));
    let digits = index.len() <= 9 && index.bytes().all(|b| b.is_ascii_digit());
    let parameters = || ACTIONS.iter().flat_map(|action| action.parameters);
    let names = |p: &Accepted| p.parameter.name == base || p.parameter.name_v3 == Some(base);
    digits && (COMMON.contains(&base) || parameters().any(names))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_name_means_two_things() {
        let names: Vec<_> = ACTIONS.iter().flat_map(|a| a.names).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
        for action in ACTIONS {
            for dialect in [Dialect::V2, Dialect::V3] {
                let all: Vec<_> =
                    action.parameters.iter().filter_map(|p| p.parameter.name_in(dialect)).collect();
                let unique: BTreeSet<_> = all.iter().collect();
                assert_eq!(unique.len(), all.len(), "{}", action.name());
            }
        }
    }

    #[test]
    fn names_keep_the_case_of_their_dialect() {
        let lower = |name: &str| name.starts_with(|c: char| c.is_ascii_lowercase());
        for action in ACTIONS {
            assert!(action.names.iter().all(|name| !lower(name)));
            for accepted in action.parameters {
                assert!(lower(accepted.parameter.name), "unknown upper-case names are ignored");
                assert!(!accepted.parameter.name_v3.is_some_and(lower));
            }
        }
    }

    #[test]
    fn an_action_is_found_by_every_name_of_it() {
        let by_seed = Action::named("DescribeDeviceList", Dialect::V2).unwrap();
        assert_eq!(by_seed.name(), "DescribeDevice");
        assert!(Action::named("resetDevicePasswd", Dialect::V2).is_none());
        assert!(Action::named("ResetDevicePasswd", Dialect::V3).is_none());
        let reset = Action::named("ResetDevicePassword", Dialect::V3).unwrap();
        assert_eq!(reset.name(), "ResetDevicePasswd");
    }
}
