//! Every condition with its code and name, as the contract's tables have them (7.2, 7.3).

use opencpm_domain::Condition::{self, *};

use crate::ask::Ask;
use crate::world::World;

const TABLE: &[(Condition, u64, &str)] = &[
    (CommonParameterMissing, 4000, "InvalidParameter"),
    (Malformed, 4000, "InvalidParameter"),
    (TooLarge, 4000, "InvalidParameter"),
    (SignatureWrong, 4100, "AuthFailure"),
    (ActionNotAllowed, 4101, "UnauthorizedOperation"),
    (DeviceNotAllowed, 4103, "UnauthorizedOperation"),
    (SecretIdUnknown, 4104, "InvalidParameter.SecretIdNotFound"),
    (TokenWrong, 4105, "InvalidRequest.TokenCheckFailed"),
    (AccountBlocked, 4300, "InvalidRequest.Forbidden"),
    (QuotaExceeded, 4400, "InvalidRequest.LimitExceeded"),
    (ClockSkew, 4500, "InvalidRequest.ReplayAttack"),
    (Replayed, 4500, "InvalidRequest.ReplayAttack"),
    (UnsupportedProtocol, 4600, "InvalidRequest.UnsupportedProtocol"),
    (ServerBug, 6000, "InternalError"),
    (UnknownAction, 6100, "InvalidAction.NotFound"),
    (Maintenance, 6200, "InvalidAction.ActionUnavailable"),
    (StoreUnavailable, 9001, "InternalError.DbError"),
    (BrokerUnavailable, 9005, "InternalError.RbmqError"),
    (GatewayLost, 9008, "InternalError.TscRequestFail"),
    (ParameterMissing, 10001, "InvalidParameter"),
    (ParameterInvalid, 10001, "InvalidParameter"),
    (ParameterOutOfBounds, 10001, "InvalidParameter"),
    (ParameterUnknown, 10001, "InvalidParameter"),
    (NotFound, 10001, "InvalidParameter"),
    (DeviceStateWrong, 12002, "OperationDenied.IncorrectInstanceStatus"),
    (DeviceBusy, 12002, "OperationDenied.IncorrectInstanceStatus"),
    (AgentNotAlive, 12006, "OperationDenied.TsysAgentNotAlive"),
];

#[tokio::test]
async fn every_condition_is_answered_as_the_contract_says() {
    let world = World::new().await;
    for (condition, code, code_desc) in TABLE {
        let id = format!("cpm-refused-{condition:?}");
        let reply = world.send(Ask::reset("abce1234").with("instanceIds.0", &id).post()).await;
        reply.assert_refused(*code);
        assert_eq!(reply.json()["codeDesc"], *code_desc);
        let keys: Vec<_> = reply.json().as_object().unwrap().keys().cloned().collect();
        assert_eq!(keys.len(), 3, "{keys:?}");
    }
}

#[test]
fn the_table_leaves_out_no_condition_that_api_2_has() {
    let with_code = |condition: &&Condition| condition.row().code.is_some();
    assert_eq!(Condition::ALL.iter().filter(with_code).count(), TABLE.len());
}
