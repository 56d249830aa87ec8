//! What is answered when all is well (contract section 4): names and types.

use serde_json::json;

use crate::ask::Ask;
use crate::world::{SECRET_KEY, World};

#[tokio::test]
async fn a_reset_answers_with_a_number() {
    let world = World::new().await;
    let reply = world.send(Ask::reset("abce1234").with("opUin", "1").post()).await;
    reply.assert_done();
    assert_eq!(
        reply.body,
        r#"{"code":0,"message":"OK","codeDesc":"Success","data":{"taskId":101}}"#
    );
}

#[tokio::test]
async fn a_result_has_its_list_under_both_names() {
    let world = World::new().await;
    let reply =
        world.send(Ask::new("DescriptionOperationResult").with("taskId", "101").get()).await;
    reply.assert_done();
    let data = &reply.json()["data"];
    assert_eq!(data["status"], 7);
    assert_eq!(data["instanceIds"], data["resourceIds"]);
    let devices = data["instanceIds"].as_array().unwrap();
    assert_eq!(devices[0]["instanceId"], "cpm-1");
    assert_eq!(devices[0]["status"], 1);
    assert_eq!(devices[0]["advice"][0]["code"], "lock_lifted");
    assert_eq!(devices[0].get("reason"), None);
    assert_eq!(devices[1]["status"], 2);
    assert!(devices[1]["reason"].as_str().unwrap().starts_with("disk_full: "));
    assert_eq!(devices[2], json!({"instanceId": "cpm-3", "status": 4}));
    let unknown = Ask::new("DescriptionOperationResult").with("taskId", "102");
    world.send(unknown.get()).await.assert_refused(10001);
}

#[tokio::test]
async fn every_scalar_of_a_device_is_a_string() {
    let world = World::new().await;
    for name in ["DescribeDevice", "DescribeDeviceList"] {
        let reply = world.send(Ask::new(name).get()).await;
        reply.assert_done();
        let data = &reply.json()["data"];
        assert_eq!(data["totalNum"], 1);
        assert_eq!(data["serverTimestamp"], 1_700_000_000_000_u64);
        assert_eq!(
            data["deviceList"],
            json!([{
                "instanceId": "cpm-1", "vpcId": "1025", "subnetId": "0", "unVpcId": "",
                "unSubnetId": "", "lanIp": "", "wanIp": "", "deviceStatus": "4",
                "operateStatus": "11", "osTypeId": "0", "raidId": "0", "alias": "gateway",
                "appId": "1251000000", "zoneId": "0", "projectId": "0",
                "deliverTime": "2023-11-14 22:13:20", "deadline": "", "isVpcGateway": "1",
                "autoRenewFlag": "0", "deviceClass": "", "deviceClassCode": "", "tagDetail": [],
                "mgtIp": "", "dhcpIp": "", "zone": "", "vpcName": "", "vpcCidrBlock": "",
                "subnetName": "", "subnetCidrBlock": "", "cpmPayMode": "0",
                "isLuckyDevice": "0", "deviceType": "", "maintainStatus": "",
                "maintainMessage": "",
            }])
        );
    }
}

#[tokio::test]
async fn every_filter_reaches_the_service() {
    let world = World::new().await;
    let ask = Ask::new("DescribeDevice")
        .with("lanIps.0", "10.0.0.1")
        .with("alias", "网关 1")
        .with("deadlineStartTime", "1970-01-01 00:00:10")
        .with("autoRenewFlag", "1")
        .with("vpcId", "7")
        .with("unSubnetIds.0", "subnet-1")
        .with("status", "4")
        .with("order", "1")
        .with("orderField", "LanIp")
        .with("vagueIp", "10.")
        .with("limit", "5");
    world.send(ask.post()).await.assert_done();
    let asked = world.service.asked.all().remove(0);
    for part in [
        "lan_ips: [\"10.0.0.1\"]",
        "alias: Some(\"网关 1\")",
        "deadline_from: Some(Timestamp(10000000))",
        "auto_renew: Some(true)",
        "vpc_ids: [7]",
        "un_subnet_ids: [\"subnet-1\"]",
        "statuses: [InOperation]",
        "by: LanIp, descending: true",
        "vague_ip: Some(\"10.\")",
        "offset: 0, limit: 5",
    ] {
        assert!(asked.contains(part), "{part} in {asked}");
    }
}

#[tokio::test]
async fn every_scalar_of_the_log_is_a_string() {
    let world = World::new().await;
    let ask = Ask::new("DescribeDeviceOperationLog").with("instanceId", "cpm-1");
    let reply = world.send(ask.get()).await;
    reply.assert_done();
    let data = &reply.json()["data"];
    assert_eq!(data["totalCount"], 30);
    assert_eq!(
        data["logs"][1],
        json!({
            "id": "6959", "instanceId": "cpm-2", "taskId": "101", "appId": "1251000000",
            "taskName": "resetPasswd", "taskCName": "Reset password",
            "startTime": "2023-11-14 22:13:20", "endTime": "2023-11-14 22:13:22", "status": "2",
            "opUin": "1307774067",
            "memo": "Reset password failed. disk_full: There is no space, or no quota, left for a new shadow file.",
        })
    );
    let running = &data["logs"][2];
    assert_eq!((&running["status"], &running["endTime"]), (&json!("0"), &running["startTime"]));
    let memo = data["logs"][0]["memo"].as_str().unwrap().to_owned();
    assert!(memo.contains("the machine applied it at 2023-11-14 22:13:21"), "{memo}");
    assert!(memo.contains("lock_lifted"), "{memo}");
}

#[tokio::test]
async fn the_log_covers_whole_days_and_a_week_unless_told() {
    let world = World::new().await;
    let ask = || Ask::new("DescribeDeviceOperationLog").with("instanceId", "cpm-1");
    world.send(ask().get()).await.assert_done();
    let days = ask().with("startTime", "2016-08-02").with("endTime", "2016-10-12");
    world.send(days.get()).await.assert_done();
    let asked = world.service.asked.all();
    let from_to = |from: u64, before: u64| {
        format!("from: Timestamp({from}000000), before: Timestamp({before}000000)")
    };
    assert!(asked[0].contains(&from_to(1_699_315_200, 1_700_006_400)), "{}", asked[0]);
    assert!(asked[1].contains(&from_to(1_470_096_000, 1_476_316_800)), "{}", asked[1]);
}

#[tokio::test]
async fn agents_are_told_with_numbers() {
    let world = World::new().await;
    let reply = world.send(Ask::new("DescribeBmAgentStatus").post()).await;
    reply.assert_done();
    assert_eq!(
        reply.json()["data"],
        json!({"totalNum": 1, "agentList": [{
            "instanceId": "cpm-1", "agentStatus": 1, "agentVersion": "0.1.0",
            "lastSeenTime": "2023-11-14 22:13:20",
        }]})
    );
}

#[tokio::test]
async fn administrators_change_and_others_do_not() {
    let world = World::new().await;
    let cases = [
        (
            Ask::new("CreateAccount").with("appId", "7").with("name", "n"),
            json!({"appId": 7, "name": "n", "blocked": false}),
        ),
        (
            Ask::new("ModifyAccount").with("appId", "7").with("blocked", "1"),
            json!({"appId": 7, "name": "as it was", "blocked": true}),
        ),
        (
            Ask::new("DescribeAccounts"),
            json!({"totalNum": 1, "accountList": [
            {"appId": 1_251_000_000, "name": "first", "blocked": false}]}),
        ),
        (
            Ask::new("CreateApiKey")
                .with("appId", "7")
                .with("uin", "1")
                .with("actions.0", "DescribeDeviceList")
                .with("instanceIds.0", "cpm-1")
                .with("tags.0.tagKey", "team")
                .with("tags.0.tagValues.0", "db"),
            json!({"secretId": "AKIDNEW", "secretKey": "new-secret"}),
        ),
        (
            Ask::new("DescribeApiKeys"),
            json!({"totalNum": 1, "keyList": [{
            "secretId": "AKIDEXAMPLE0001", "appId": 1_251_000_000, "uin": "1307774067",
            "admin": false, "actions": ["DescribeDevice"], "devices": {
                "instanceIds": ["cpm-1"], "tags": [{"tagKey": "team", "tagValues": ["db"]}]},
            "temporary": false, "expireTime": "", "disabled": false,
            "createTime": "2023-11-14 22:13:20"}]}),
        ),
        (Ask::new("ModifyApiKey").with("keyId", "AKIDNEW").with("disabled", "1"), json!(null)),
        (
            Ask::new("CreateDevice")
                .with("appId", "7")
                .with("alias", "a")
                .with("lanIp", "10.0.0.1"),
            json!({"instanceId": "cpm-made"}),
        ),
        (
            Ask::new("ModifyDevice").with("instanceId", "cpm-1").with("deviceStatus", "13"),
            json!(null),
        ),
        (
            Ask::new("CreateEnrolmentToken").with("appId", "7").with("uses", "3"),
            json!({"token": "opencpm1.text.sum", "expireTime": "2023-11-15 22:13:20"}),
        ),
        (
            Ask::new("CreateNodeToken").with("names.0", "gw.example").with("uses", "2"),
            json!({"token": "opencpm-node1.text.sum", "expireTime": "2023-11-15 22:13:20"}),
        ),
        (
            Ask::new("DescribeNodes"),
            json!({"totalNum": 1, "nodeList": [{
            "nodeId": "66687aadf862bd77", "hostname": "gw1", "names": ["gw.example"],
            "joinTime": "2023-11-14 22:13:20", "renewTime": "2023-11-14 22:13:20",
            "revoked": false}]}),
        ),
        (Ask::new("RevokeNode").with("nodeId", "66687aadf862bd77"), json!(null)),
    ];
    for (ask, data) in cases {
        world.send(ask.get()).await.assert_refused(4101);
        let reply = world.send(ask.signed_by("AKIDADMIN", SECRET_KEY).post()).await;
        reply.assert_done();
        assert_eq!(reply.json()["data"], data, "{reply:?}");
    }
    let asked = world.service.asked.all();
    assert!(asked.contains(&"AKIDNEW disabled true".to_owned()), "{asked:?}");
    let key = asked.iter().find(|asked| asked.starts_with("NewApiKey")).unwrap();
    for part in ["actions: Some([\"DescribeDevice\"])", "\"cpm-1\"", "\"team\"", "\"db\""] {
        assert!(key.contains(part), "{part} in {key}");
    }
    assert!(asked.contains(&"66687aadf862bd77 revoked".to_owned()), "{asked:?}");
    let token = |asked: &String| asked.contains("names: [\"gw.example\"], uses: 2");
    assert!(asked.iter().any(token), "{asked:?}");
    let offline = |asked: &String| asked.contains("device_status: Some(Offline)");
    assert!(asked.iter().any(offline), "{asked:?}");
}

#[tokio::test]
async fn any_key_makes_temporary_keys_within_the_bounds_of_time() {
    let world = World::new().await;
    let ask = |seconds| Ask::new("CreateTemporaryKey").with("validSeconds", seconds);
    let reply = world.send(ask("3600").with("actions.0", "DescribeDevice").post()).await;
    reply.assert_done();
    assert_eq!(
        reply.json()["data"],
        json!({"secretId": "AKIDNEW", "secretKey": "new-secret", "token": "new-token",
            "expireTime": "2023-11-14 23:13:20"})
    );
    for wrong in ["", "0", "59", "43201"] {
        world.send(ask(wrong).get()).await.assert_refused(10001);
    }
    world.send(ask("60").with("instanceIds.0", "cpm-9").get()).await.assert_refused(4103);
    world.send(ask("60").with("Nonce", "77").get()).await.assert_refused(4500);
    let reader = ask("60").signed_by("AKIDREADER", SECRET_KEY);
    world.send(reader.get()).await.assert_refused(4101);
}

#[tokio::test]
async fn a_device_cannot_be_set_to_a_state_that_does_not_exist() {
    let world = World::new().await;
    let ask =
        || Ask::new("ModifyDevice").signed_by("AKIDADMIN", SECRET_KEY).with("instanceId", "cpm-1");
    for (name, value) in [("deviceStatus", "15"), ("operateStatus", "11"), ("operateStatus", "16")]
    {
        world.send(ask().with(name, value).get()).await.assert_refused(10001);
    }
    let key = Ask::new("CreateApiKey").signed_by("AKIDADMIN", SECRET_KEY).with("appId", "7");
    world.send(key.with("uin", "1").with("actions.0", "NoSuch").get()).await.assert_refused(10001);
}

#[tokio::test]
async fn a_task_is_told_and_verified() {
    let world = World::new().await;
    let reply = world.send(Ask::new("DescribeTask").with("taskId", "101").get()).await;
    reply.assert_done();
    let data = &reply.json()["data"];
    assert_eq!((&data["status"], &data["opUin"]), (&json!(7), &json!("1307774067")));
    assert_eq!(data["devices"][0]["corrected"], true);
    assert_eq!(data["devices"][1]["reason"]["code"], "disk_full");
    assert_eq!(data["devices"][2]["endTime"], "");
}
