//! Every condition with its code and name, as the contract's tables have them (7.2, 7.3).

use opencpm_domain::Condition::{self, *};

use serde_json::json;

use crate::ask::Ask;
use crate::ask3::Ask3;
use crate::world::World;

/// Condition, `code` and `codeDesc` of API 2.0, `Code` of API 3.0.
type Row = (Condition, Option<(u64, &'static str)>, &'static str);

const TABLE: &[Row] = &[
    (CommonParameterMissing, Some((4000, "InvalidParameter")), "MissingParameter"),
    (Malformed, Some((4000, "InvalidParameter")), "InvalidParameter"),
    (TooLarge, Some((4000, "InvalidParameter")), "RequestSizeLimitExceeded"),
    (SignatureWrong, Some((4100, "AuthFailure")), "AuthFailure.SignatureFailure"),
    (ActionNotAllowed, Some((4101, "UnauthorizedOperation")), "AuthFailure.UnauthorizedOperation"),
    (DeviceNotAllowed, Some((4103, "UnauthorizedOperation")), "UnauthorizedOperation"),
    (
        SecretIdUnknown,
        Some((4104, "InvalidParameter.SecretIdNotFound")),
        "AuthFailure.SecretIdNotFound",
    ),
    (TokenWrong, Some((4105, "InvalidRequest.TokenCheckFailed")), "AuthFailure.TokenFailure"),
    (AccountBlocked, Some((4300, "InvalidRequest.Forbidden")), "UnauthorizedOperation"),
    (QuotaExceeded, Some((4400, "InvalidRequest.LimitExceeded")), "RequestLimitExceeded"),
    (ClockSkew, Some((4500, "InvalidRequest.ReplayAttack")), "AuthFailure.SignatureExpire"),
    (Replayed, Some((4500, "InvalidRequest.ReplayAttack")), "AuthFailure.SignatureExpire"),
    (
        UnsupportedProtocol,
        Some((4600, "InvalidRequest.UnsupportedProtocol")),
        "UnsupportedProtocol",
    ),
    (ServerBug, Some((6000, "InternalError")), "InternalError"),
    (UnknownAction, Some((6100, "InvalidAction.NotFound")), "InvalidAction"),
    (Maintenance, Some((6200, "InvalidAction.ActionUnavailable")), "ServiceUnavailable"),
    (StoreUnavailable, Some((9001, "InternalError.DbError")), "InternalError"),
    (BrokerUnavailable, Some((9005, "InternalError.RbmqError")), "InternalError"),
    (GatewayLost, Some((9008, "InternalError.TscRequestFail")), "InternalError"),
    (ParameterMissing, Some((10001, "InvalidParameter")), "MissingParameter"),
    (ParameterInvalid, Some((10001, "InvalidParameter")), "InvalidParameter"),
    (
        ParameterOutOfBounds,
        Some((10001, "InvalidParameter")),
        "InvalidParameterValue.InvalidParameter",
    ),
    (ParameterUnknown, Some((10001, "InvalidParameter")), "UnknownParameter"),
    (NotFound, Some((10001, "InvalidParameter")), "ResourceNotFound"),
    (
        DeviceStateWrong,
        Some((12002, "OperationDenied.IncorrectInstanceStatus")),
        "UnsupportedOperation.InvalidOperation",
    ),
    (
        DeviceBusy,
        Some((12002, "OperationDenied.IncorrectInstanceStatus")),
        "ResourceInUse.FlowBusy",
    ),
    (
        AgentNotAlive,
        Some((12006, "OperationDenied.TsysAgentNotAlive")),
        "FailedOperation.TscAgentOffline",
    ),
    (AuthorizationUnreadable, None, "AuthFailure.InvalidAuthorization"),
    (WrongVersion, None, "NoSuchVersion"),
];

#[tokio::test]
async fn every_condition_is_answered_as_the_contract_says() {
    let world = World::new().await;
    for (condition, v2, v3) in TABLE {
        let id = format!("cpm-refused-{condition:?}");
        let body = json!({"InstanceIds": [id], "Password": "abce1234"}).to_string();
        let reply = world.send(Ask3::new("ResetDevicePassword", &body).raw()).await;
        reply.assert_refused_v3(v3);
        let Some((code, code_desc)) = v2 else { continue };
        let reply = world.send(Ask::reset("abce1234").with("instanceIds.0", &id).post()).await;
        reply.assert_refused(*code);
        assert_eq!(reply.json()["codeDesc"], *code_desc);
        let keys: Vec<_> = reply.json().as_object().unwrap().keys().cloned().collect();
        assert_eq!(keys.len(), 3, "{keys:?}");
    }
}

#[test]
fn the_table_leaves_out_no_condition() {
    for condition in Condition::ALL {
        let (_, v2, _) = TABLE.iter().find(|(known, ..)| known == condition).unwrap();
        assert_eq!(condition.row().code.is_some(), v2.is_some(), "{condition:?}");
    }
    assert_eq!(Condition::ALL.len(), TABLE.len());
}
