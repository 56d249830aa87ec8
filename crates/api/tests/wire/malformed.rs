//! Malformed requests of every kind (contract 1, 2, 3, 6): each gets a clear answer.

use crate::ask::{Ask, HOST, get, post, post_to};
use crate::world::{NOW, World};

#[tokio::test]
async fn common_parameters_must_be_there_and_well_formed() {
    let world = World::new().await;
    let good = Ask::new("DescribeDevice");
    let cases = [
        good.clone().without("Action"),
        good.clone().without("SecretId"),
        good.clone().without("Timestamp"),
        good.clone().without("Nonce"),
        good.clone().signature(""),
        good.clone().with("Timestamp", "1700000000.5"),
        good.clone().with("Timestamp", "-1700000000"),
        good.clone().with("Timestamp", "+1700000000"),
        good.clone().with("Nonce", "0x10"),
        good.clone().with("Nonce", "18446744073709551616"),
        good.clone().with("Nonce", "000000000000000000001"),
        good.clone().with("Nonce", " 1"),
    ];
    for ask in cases {
        world.send(ask.get()).await.assert_refused(4000);
        world.send(ask.post()).await.assert_refused(4000);
    }
    for nonce in ["0", "18446744073709551615", "00000000000000000001"] {
        world.send(good.clone().with("Nonce", nonce).get()).await.assert_done();
    }
}

#[tokio::test]
async fn forms_that_cannot_be_decoded_are_refused_before_anything_else() {
    let world = World::new().await;
    let form = Ask::new("DescribeDevice").signature("wrong").form("GET");
    for bad in [
        "a=%",
        "a=%4",
        "a=%GG",
        "%zz=1",
        "a=%FF%FE",
        "=x",
        "Action=again",
        "limit=1&limit=2",
        "instanceIds.0=a&instanceIds_0=b",
    ] {
        world.send(get(&format!("{form}&{bad}"))).await.assert_refused(4000);
        world.send(post(&format!("{bad}&{form}"))).await.assert_refused(4000);
    }
    world.send(get("")).await.assert_refused(4000);
    world.send(post("")).await.assert_refused(4000);
    world.send(post("{\"Action\":\"DescribeDevice\"}")).await.assert_refused(4000);
}

#[tokio::test]
async fn a_get_ignores_its_body_and_a_post_its_query() {
    let world = World::new().await;
    let form = Ask::new("DescribeDevice").form("GET");
    let body_only = format!(
        "GET /v2/index.php HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    );
    world.send(body_only).await.assert_refused(4000);
    let form = Ask::new("DescribeDevice").form("POST");
    world.send(post_to(HOST, "/v2/index.php?Action=Other&a=%", &form)).await.assert_done();
}

#[tokio::test]
async fn action_parameters_are_checked_by_the_table() {
    let world = World::new().await;
    let reset = || Ask::reset("abce1234");
    let devices = || Ask::new("DescribeDevice");
    let log = || Ask::new("DescribeDeviceOperationLog").with("instanceId", "cpm-1");
    let result = || Ask::new("DescriptionOperationResult");
    let cases = [
        // Missing.
        reset().without("passwd"),
        reset().with("passwd", ""),
        reset().without("instanceIds.0"),
        result(),
        result().with("taskId", ""),
        log().without("instanceId"),
        // Wrong type or form.
        result().with("taskId", "one"),
        result().with("taskId", "1.0"),
        result().with("taskId", "0x1"),
        devices().with("limit", ""),
        devices().with("deadlineEndTime", "2018-05-10"),
        devices().with("deadlineEndTime", "2018-05-10T00:00:00"),
        log().with("startTime", "yesterday"),
        log().with("startTime", "2018-02-30"),
        reset().with("instanceIds.0", "cpm 1"),
        reset().with("instanceIds.0", ""),
        reset().with("instanceIds.0", &"x".repeat(65)),
        reset().with("instanceIds.01", "cpm-2"),
        reset().with("instanceIds.x", "cpm-2"),
        reset().with("instanceIds.", "cpm-2"),
        reset().with("instanceIds.0.1", "cpm-2"),
        reset().with("instanceIds", "cpm-2"),
        reset().with("instanceIds.7", "cpm-1"),
        devices().with("subnetId", "1").with("subnetIds.0", "2"),
        // Out of bounds.
        devices().with("limit", "0"),
        devices().with("limit", "1001"),
        devices().with("limit", "-1"),
        devices().with("limit", "99999999999999999999999999999999999999999999"),
        devices().with("offset", "-1"),
        devices().with("autoRenewFlag", "2"),
        devices().with("order", "2"),
        devices().with("orderField", "colour"),
        devices().with("status", "99"),
        devices().with("alias", &"x".repeat(256)),
        log().with("limit", "101"),
        result().with("taskId", "0"),
        result().with("taskId", "9007199254740992"),
        // Unknown.
        reset().with("password", "abce1234"),
        devices().with("instanceId", "cpm-1"),
        result().with("taskId.0", "101"),
        devices().with("limit.0", "1"),
        devices().with("é", ""),
    ];
    for ask in cases {
        let reply = world.send(ask.get()).await;
        reply.assert_refused(10001);
    }
    assert_eq!(world.service.asked.all(), [""; 0]);
}

#[tokio::test]
async fn bounds_hold_their_ends() {
    let world = World::new().await;
    let devices = || Ask::new("DescribeDevice");
    let log = || Ask::new("DescribeDeviceOperationLog").with("instanceId", &"x".repeat(64));
    let cases = [
        devices().with("limit", "1"),
        devices().with("limit", "1000"),
        devices().with("limit", "007"),
        devices().with("offset", "9007199254740991"),
        devices().with("alias", &"é".repeat(255)),
        devices().with("autoRenewFlag", "0"),
        devices().with("orderField", "DeliverTime"),
        devices().with("status.0", "4").with("status.1", "16"),
        devices().with("instanceIds.0", "cpm-1").with("instanceIds.1", "cpm-1"),
        Ask::new("DescribeBmAgentStatus").with("limit", "1000").with("instanceIds", "cpm-1"),
        log().with("limit", "1"),
        log().with("limit", "100"),
        log().with("startTime", "2016-02-29").with("endTime", "2016-02-29 23:59:59"),
        log().with("startTime", "1969-12-31"),
    ];
    for ask in cases {
        world.send(ask.get()).await.assert_done();
        world.send(ask.post()).await.assert_done();
    }
}

/// Contract 2.1: signed, and otherwise ignored.
#[tokio::test]
async fn unknown_names_with_a_capital_are_signed_and_ignored() {
    let world = World::new().await;
    let ask = Ask::new("DescribeDevice")
        .with("Whatever", "@x")
        .with("Limit", "0")
        .with("Region", "")
        .with("Token", "")
        .with("Version", "1")
        .with("Language", "zh-CN")
        .with("RequestClient", "SDK")
        .with("SignatureMethod", "TC2-HmacSHA256");
    world.send(ask.get()).await.assert_done();
    world.send(ask.post()).await.assert_done();
    let added = format!("{}&Whenever=1", ask.form("GET"));
    world.send(get(&added)).await.assert_refused(4100);
}

#[tokio::test]
async fn the_password_policy_is_the_seeds() {
    let world = World::new().await;
    for good in ["abce1234", "abcd!@#$", "1234!@#$", "abcdefgh12345678", "@bcd1234", "a1&a1&a1&"] {
        world.send(Ask::reset(good).get()).await.assert_done();
        world.send(Ask::reset(good).post()).await.assert_done();
    }
    for bad in [
        "abcdefgh",
        "ABCDefgh",
        "12345678",
        "!@#$%^&*",
        "abc1234",
        "abcdefgh123456789",
        "abce 1234",
        "abce1234 ",
        "abce-1234",
        "abce_1234",
        "abce=1234",
        "abce.1234",
        "abce\"1234",
        "abce\\1234",
        "abce\x001234",
        "abce\n1234",
        "abcé1234",
        "abce１２３４",
    ] {
        let reply = world.send(Ask::reset(bad).post()).await;
        reply.assert_refused(10001);
        assert!(!reply.body.contains(bad), "{reply:?}");
    }
}

#[tokio::test]
async fn lists_come_in_every_form() {
    let world = World::new().await;
    let ask = || Ask::new("ResetDevicePasswd").with("passwd", "abce1234");
    let forms = [
        ask().with("instanceIds.0", "a").with("instanceIds.1", "b"),
        ask().with("instanceIds.1", "a").with("instanceIds.2", "b"),
        ask().with("instanceIds_0", "a").with("instanceIds_1", "b"),
        ask().with("instanceIds.9", "a").with("instanceIds.10", "b"),
        ask().with("instanceIds.7", "a").with("instanceIds.99999999999999999999999", "b"),
    ];
    for form in &forms {
        world.send(form.get()).await.assert_done();
    }
    world.send(ask().with("instanceIds", "a").post()).await.assert_done();
    let asked = world.service.asked.all();
    assert_eq!(asked[..5], ["reset a,b abce1234"; 5]);
    assert_eq!(asked[5], "reset a abce1234");
}

#[tokio::test]
async fn a_message_names_every_offending_value() {
    let world = World::new().await;
    let twice = Ask::reset("abce1234")
        .with("instanceIds.1", "cpm-2")
        .with("instanceIds.5", "cpm-2")
        .with("instanceIds.6", "cpm-1");
    let reply = world.send(twice.get()).await;
    reply.assert_refused(10001);
    assert!(reply.message().contains("cpm-1, cpm-2"), "{reply:?}");
    let bad = Ask::reset("abce1234").with("instanceIds.3", "a b").with("instanceIds.12", "");
    let reply = world.send(bad.get()).await;
    assert!(reply.message().contains("3, 12"), "{reply:?}");
    let mut many = Ask::new("ResetDevicePasswd").with("passwd", "abce1234");
    for number in 0..1500 {
        many = many.with(&format!("instanceIds.{number}"), &format!("cpm-{}", number / 2));
    }
    let reply = world.send(many.post()).await;
    reply.assert_refused(10001);
    assert_eq!(reply.message().matches("cpm-").count(), 750);
    let reply = world.send(Ask::new("ResetDevicePasswd").get()).await;
    assert!(reply.message().contains("instanceIds.n, passwd"), "{reply:?}");
}

#[tokio::test]
async fn a_hundred_thousand_devices_fit_and_one_more_does_not() {
    let world = World::new().await;
    let mut form = String::from("Action=ResetDevicePasswd");
    for number in 0..100_001 {
        form += &format!("&instanceIds.{number}=cpm-{number}");
    }
    let fields = format!("{form}&Nonce=1&SecretId=AKIDEXAMPLE0001&Timestamp={NOW}&Signature=AAAA");
    world.send(post(&fields)).await.assert_refused(4100);
    let mut many = Ask::new("ResetDevicePasswd").with("passwd", "abce1234");
    many.fill_ids(100_000);
    world.send(many.post()).await.assert_done();
    many.fill_ids(100_001);
    world.send(many.post()).await.assert_refused(10001);
}
