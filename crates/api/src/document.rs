//! What the tables say, for those who integrate: the OpenAPI document and the reference. Both come
//! from the action table, the field table and the error table, and from nothing else.

mod openapi;
mod reference;
mod schema;

pub use openapi::openapi;
pub use reference::reference;

use opencpm_domain::Condition;

use crate::dialect::Dialect;

/// The conditions that every action can answer (contract 7.2); an action's own are in its row.
const COMMON: &[Condition] = &[
    Condition::CommonParameterMissing,
    Condition::Malformed,
    Condition::TooLarge,
    Condition::AuthorizationUnreadable,
    Condition::SignatureWrong,
    Condition::SecretIdUnknown,
    Condition::TokenWrong,
    Condition::ActionNotAllowed,
    Condition::AccountBlocked,
    Condition::QuotaExceeded,
    Condition::ClockSkew,
    Condition::Replayed,
    Condition::UnsupportedProtocol,
    Condition::ServerBug,
    Condition::UnknownAction,
    Condition::WrongVersion,
    Condition::Maintenance,
];

/// What the dialect calls a condition; `None` where it has no form there.
fn code(condition: Condition, dialect: Dialect) -> Option<String> {
    let row = condition.row();
    match dialect {
        Dialect::V2 => row.code.map(|code| code.to_string()),
        Dialect::V3 => row.code_v3.map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::ACTIONS;
    use std::collections::BTreeSet;

    #[test]
    fn every_condition_is_common_or_raised_by_an_action() {
        let raised = ACTIONS.iter().flat_map(|action| action.raises);
        let all: BTreeSet<_> = COMMON.iter().chain(raised).collect();
        assert_eq!(all, Condition::ALL.iter().collect());
    }
}
