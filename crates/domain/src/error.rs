//! The one table of errors: condition, code in both dialects, exit code of the command line.
//!
//! Sources: contract sections 7.2 and 7.3; design section 4, "Error meaning".

use std::borrow::Cow;

/// What a condition looks like from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorRow {
    /// API 2.0 `code`; `None` where the condition has no form in that dialect.
    pub code: Option<u16>,
    /// API 2.0 `codeDesc`.
    pub code_desc: &'static str,
    /// API 3.0 `Code`; `None` where the condition has no form in that dialect.
    pub code_v3: Option<&'static str>,
    /// Exit code of the command line.
    pub exit: u8,
}

macro_rules! conditions {
    ($($variant:ident: $code:expr, $desc:literal, $v3:expr, exit $exit:literal, $doc:literal;)*) => {
        /// Every condition that an answer can report.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Condition {
            $(#[doc = $doc] $variant,)*
        }

        impl Condition {
            /// Every condition.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The row of the table.
            pub const fn row(self) -> ErrorRow {
                match self {
                    $(Self::$variant => ErrorRow {
                        code: $code, code_desc: $desc, code_v3: $v3, exit: $exit,
                    },)*
                }
            }

            /// What happened, in general terms, for the documentation.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $doc,)* }
            }
        }
    };
}

conditions! {
    // Common (contract 7.2). Exit 10: who is asking; 11: what is asked; 12: not now.
    CommonParameterMissing: Some(4000), "InvalidParameter", Some("MissingParameter"), exit 11,
        "A common parameter is missing.";
    Malformed: Some(4000), "InvalidParameter", Some("InvalidParameter"), exit 11,
        "A common parameter is malformed, a name is given twice, or the body cannot be decoded.";
    TooLarge: Some(4000), "InvalidParameter", Some("RequestSizeLimitExceeded"), exit 11,
        "The request is too large.";
    AuthorizationUnreadable: None, "", Some("AuthFailure.InvalidAuthorization"), exit 10,
        "The Authorization header cannot be parsed.";
    SignatureWrong: Some(4100), "AuthFailure", Some("AuthFailure.SignatureFailure"), exit 10,
        "The signature does not verify.";
    SecretIdUnknown: Some(4104), "InvalidParameter.SecretIdNotFound",
        Some("AuthFailure.SecretIdNotFound"), exit 10,
        "The SecretId is unknown, deleted or disabled.";
    TokenWrong: Some(4105), "InvalidRequest.TokenCheckFailed", Some("AuthFailure.TokenFailure"),
        exit 10, "A temporary key came without its token, or a permanent one with a token.";
    ActionNotAllowed: Some(4101), "UnauthorizedOperation",
        Some("AuthFailure.UnauthorizedOperation"), exit 10, "The key may not use this action.";
    DeviceNotAllowed: Some(4103), "UnauthorizedOperation", Some("UnauthorizedOperation"), exit 10,
        "A device is outside the key's own devices.";
    AccountBlocked: Some(4300), "InvalidRequest.Forbidden", Some("UnauthorizedOperation"), exit 10,
        "The account is blocked.";
    QuotaExceeded: Some(4400), "InvalidRequest.LimitExceeded", Some("RequestLimitExceeded"),
        exit 12, "The quota is used up.";
    ClockSkew: Some(4500), "InvalidRequest.ReplayAttack", Some("AuthFailure.SignatureExpire"),
        exit 10, "The timestamp is too far from the server's clock.";
    Replayed: Some(4500), "InvalidRequest.ReplayAttack", Some("AuthFailure.SignatureExpire"),
        exit 10, "The same signed request was used before.";
    UnsupportedProtocol: Some(4600), "InvalidRequest.UnsupportedProtocol",
        Some("UnsupportedProtocol"), exit 11, "The protocol or method is not supported here.";
    ServerBug: Some(6000), "InternalError", Some("InternalError"), exit 14,
        "The server has a defect.";
    UnknownAction: Some(6100), "InvalidAction.NotFound", Some("InvalidAction"), exit 11,
        "There is no such action.";
    WrongVersion: None, "", Some("NoSuchVersion"), exit 11, "There is no such version.";
    Maintenance: Some(6200), "InvalidAction.ActionUnavailable", Some("ServiceUnavailable"),
        exit 12, "The service is under maintenance.";

    // Module codes (contract 7.3). Exit 14: the service itself; 13: the machine's agent.
    StoreUnavailable: Some(9001), "InternalError.DbError", Some("InternalError"), exit 14,
        "The store is unreachable or refuses.";
    BrokerUnavailable: Some(9005), "InternalError.RbmqError", Some("InternalError"), exit 14,
        "The broker is configured and not reachable.";
    GatewayLost: Some(9008), "InternalError.TscRequestFail", Some("InternalError"), exit 14,
        "A device's gateway was lost less than 60 s ago, or no gateway is alive.";
    ParameterMissing: Some(10001), "InvalidParameter", Some("MissingParameter"), exit 11,
        "A parameter is missing.";
    ParameterInvalid: Some(10001), "InvalidParameter", Some("InvalidParameter"), exit 11,
        "A parameter has the wrong type or form, or an id is given twice.";
    ParameterOutOfBounds: Some(10001), "InvalidParameter",
        Some("InvalidParameterValue.InvalidParameter"), exit 11,
        "A value is out of bounds or breaks the password policy.";
    ParameterUnknown: Some(10001), "InvalidParameter", Some("UnknownParameter"), exit 11,
        "There is no such parameter.";
    NotFound: Some(10001), "InvalidParameter", Some("ResourceNotFound"), exit 11,
        "A device or task is unknown or belongs to another account.";
    DeviceStateWrong: Some(12002), "OperationDenied.IncorrectInstanceStatus",
        Some("UnsupportedOperation.InvalidOperation"), exit 12,
        "A device's state does not allow the operation.";
    DeviceBusy: Some(12002), "OperationDenied.IncorrectInstanceStatus",
        Some("ResourceInUse.FlowBusy"), exit 12,
        "Another operation is in progress on a device.";
    AgentNotAlive: Some(12006), "OperationDenied.TsysAgentNotAlive",
        Some("FailedOperation.TscAgentOffline"), exit 13,
        "A device's agent never enrolled, is quarantined or is not connected.";
}

/// A refused request: the condition and the message for the caller. Never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// Which row of the table.
    pub condition: Condition,
    /// What to tell the caller.
    pub message: Cow<'static, str>,
}

impl Refusal {
    /// A refusal with a message of its own.
    pub fn new(condition: Condition, message: impl Into<Cow<'static, str>>) -> Self {
        Self { condition, message: message.into() }
    }
}

impl From<Condition> for Refusal {
    /// A refusal in the table's own words.
    fn from(condition: Condition) -> Self {
        Self::new(condition, condition.meaning())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_condition_has_a_form_in_some_dialect() {
        for condition in Condition::ALL {
            let row = condition.row();
            assert!(row.code.is_some() || row.code_v3.is_some(), "{condition:?}");
            assert_eq!(row.code.is_some(), !row.code_desc.is_empty(), "{condition:?}");
            assert!((10..=14).contains(&row.exit), "{condition:?}");
        }
    }

    #[test]
    fn one_code_has_one_code_desc() {
        for a in Condition::ALL.iter().map(|c| c.row()) {
            for b in Condition::ALL.iter().map(|c| c.row()) {
                assert!(a.code != b.code || a.code_desc == b.code_desc, "{:?}", a.code);
            }
        }
    }
}
