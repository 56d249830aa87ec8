//! What an administrator sets of a device, and what a list of devices is asked for.

use serde_json::json;

use crate::ask::Ask;
use crate::ask3::Ask3;
use crate::world::{SECRET_KEY, World};

/// What the service was asked for.
async fn asked(ask: Ask) -> String {
    let world = World::new().await;
    world.send(ask.post()).await.assert_done();
    world.service.asked.all().remove(0)
}

async fn asked_v3(ask: Ask3) -> String {
    let world = World::new().await;
    world.send(ask.raw()).await.done_v3();
    world.service.asked.all().remove(0)
}

fn modify() -> Ask {
    Ask::new("ModifyDevice").signed_by("AKIDADMIN", SECRET_KEY).with("instanceId", "cpm-1")
}

fn holds_all(asked: &str, parts: &[&str]) {
    for part in parts {
        assert!(asked.contains(part), "{part} in {asked}");
    }
}

#[tokio::test]
async fn filters_of_the_newer_dialect_are_understood_in_both() {
    let body = json!({
        "AliasPrefix": "Web-", "DeviceType": "compute", "IsLuckyDevice": 0,
        "MaintainStatus": "WillExpire",
        "Tags": [{"TagKey": "env", "TagValues": ["prod", "test"]}, {"TagKey": "role"}],
    });
    let ask3 = Ask3::new("DescribeDevices", &body.to_string());
    let ask = Ask::new("DescribeDevice")
        .with("aliasPrefix", "Web-")
        .with("deviceType", "compute")
        .with("isLuckyDevice", "0")
        .with("maintainStatus", "willExpire")
        .with("tags.0.tagKey", "env")
        .with("tags.0.tagValues.0", "prod")
        .with("tags.0.tagValues.1", "test")
        .with("tags.1.tagKey", "role");
    let parts = [
        "alias: None",
        r#"alias_prefix: Some("Web-")"#,
        r#"device_type: Some("compute")"#,
        "is_lucky: Some(false)",
        "maintain_status: Some(WillExpire)",
        r#"tags: [TagFilter { key: "env", values: ["prod", "test"] }, TagFilter { key: "role", values: [] }]"#,
    ];
    holds_all(&asked(ask).await, &parts);
    holds_all(&asked_v3(ask3).await, &parts);
}

#[tokio::test]
async fn what_is_known_of_a_device_is_told_in_both_dialects() {
    let world = World::new().await;
    let ask = Ask::new("DescribeDevice").with("instanceIds.0", "cpm-known");
    let device = world.send(ask.get()).await.json()["data"]["deviceList"][0].clone();
    let tag = |key, value| json!({"key": key, "value": value});
    for (name, value) in [
        ("zone", json!("zone-1")),
        ("mgtIp", json!("192.0.2.1")),
        ("dhcpIp", json!("10.0.0.2")),
        ("vpcName", json!("office")),
        ("vpcCidrBlock", json!("10.0.0.0/16")),
        ("subnetName", json!("second floor")),
        ("subnetCidrBlock", json!("10.0.2.0/24")),
        ("cpmPayMode", json!("2")),
        ("isLuckyDevice", json!("1")),
        ("deviceType", json!("storage")),
        ("maintainStatus", json!("WillExpire")),
        ("maintainMessage", json!("renew it")),
        ("tagDetail", json!([tag("env", "eu"), tag("env", "prod"), tag("spare", "")])),
    ] {
        assert_eq!(device[name], value, "{name}");
    }
    let ask = Ask3::new("DescribeDevices", r#"{"InstanceIds":["cpm-known"]}"#);
    let device = world.send(ask.raw()).await.done_v3()["DeviceInfoSet"][0].clone();
    let tag = |key, values: &[&str]| json!({"TagKey": key, "TagValues": values});
    for (name, value) in [
        ("Zone", json!("zone-1")),
        ("DhcpIp", json!("10.0.0.2")),
        ("VpcName", json!("office")),
        ("VpcCidrBlock", json!("10.0.0.0/16")),
        ("SubnetName", json!("second floor")),
        ("SubnetCidrBlock", json!("10.0.2.0/24")),
        ("CpmPayMode", json!(2)),
        ("IsLuckyDevice", json!(1)),
        ("MaintainStatus", json!("WillExpire")),
        ("MaintainMessage", json!("renew it")),
        ("Tags", json!([tag("env", &["eu", "prod"]), tag("spare", &[""])])),
    ] {
        assert_eq!(device[name], value, "{name}");
    }
}

#[tokio::test]
async fn every_attribute_can_be_set() {
    let ask = modify()
        .with("dhcpIp", "10.0.0.2")
        .with("vpcName", "office")
        .with("vpcCidrBlock", "10.0.0.0/16")
        .with("subnetName", "second floor")
        .with("subnetCidrBlock", "10.0.2.0/24")
        .with("cpmPayMode", "2")
        .with("isLuckyDevice", "1")
        .with("deviceType", "storage")
        .with("maintainStatus", "Expire")
        .with("maintainMessage", "renew it")
        .with("deadline", "1970-01-01 00:00:01")
        .with("tags.0.tagKey", "env")
        .with("tags.0.tagValues.0", "prod")
        .with("tags.0.tagValues.1", "test")
        .with("tags.1.tagKey", "spare");
    let asked = asked(ask).await;
    let parts = [
        "alias: None",
        "deliver_time: None",
        r#"dhcp_ip: Some("10.0.0.2")"#,
        r#"vpc_name: Some("office")"#,
        r#"vpc_cidr: Some("10.0.0.0/16")"#,
        r#"subnet_name: Some("second floor")"#,
        r#"subnet_cidr: Some("10.0.2.0/24")"#,
        "pay_mode: Some(Postpaid)",
        "is_lucky: Some(true)",
        r#"device_type: Some("storage")"#,
        "maintain_status: Some(Some(Expire))",
        r#"maintain_message: Some(Some("renew it"))"#,
        "deadline: Some(Some(Timestamp(1000000)))",
        r#"tags: Some([Tag { key: "env", value: "prod", mac: None }, Tag { key: "env", value: "test", mac: None }, Tag { key: "spare", value: "", mac: None }])"#,
    ];
    holds_all(&asked, &parts);
}

#[tokio::test]
async fn what_is_no_longer_known_is_cleared() {
    let names = ["deliverTime", "deadline", "maintainStatus", "maintainMessage", "tags"];
    let numbered = names.iter().enumerate();
    let ask = numbered.fold(modify(), |ask, (n, name)| ask.with(&format!("clear.{n}"), name));
    let asked = asked(ask).await;
    let body = json!({"InstanceId": "cpm-1", "Clear": ["Deadline", "tags"]}).to_string();
    let mut ask3 = Ask3::new("ModifyDevice", &body).signing_action();
    ask3.secret_id = "AKIDADMIN".to_owned();
    holds_all(
        &asked_v3(ask3).await,
        &["deliver_time: None", "deadline: Some(None)", "tags: Some([])"],
    );
    let parts = [
        "deliver_time: Some(None)",
        "deadline: Some(None)",
        "maintain_status: Some(None)",
        "maintain_message: Some(None)",
        "tags: Some([])",
        "alias: None",
    ];
    holds_all(&asked, &parts);
}

#[tokio::test]
async fn what_no_device_can_be_is_refused() {
    let world = World::new().await;
    for (name, value) in [
        ("cpmPayMode", "4"),
        ("isLuckyDevice", "2"),
        ("maintainStatus", ""),
        ("maintainStatus", "Never"),
        ("clear", "alias"),
        ("tags", "env"),
        ("tags.0.tagValues.0", "no key"),
    ] {
        world.send(modify().with(name, value).post()).await.assert_refused(10001);
    }
    let both = modify().with("clear.0", "deadline").with("deadline", "1970-01-01 00:00:01");
    let refused = world.send(both.post()).await;
    refused.assert_refused(10001);
    assert!(refused.message().contains("deadline: give it or clear it"), "{refused:?}");
    assert!(world.service.asked.all().is_empty());
}

/// A tag that is silently left out would widen what was to be limited: a filter, or a key.
#[tokio::test]
async fn a_tag_without_a_key_is_refused_and_never_left_out() {
    let world = World::new().await;
    for tag in [json!({}), json!({"TagKey": null}), json!({"TagValues": []})] {
        let body = json!({"InstanceIds": ["cpm-1"], "Tags": [{"TagKey": "env"}, tag]});
        let list = Ask3::new("DescribeDevices", &body.to_string());
        world.send(list.raw()).await.assert_refused_v3("InvalidParameter");
        let body = json!({"ValidSeconds": 3600, "InstanceIds": ["cpm-1"], "Tags": [tag]});
        let key = Ask3::new("CreateTemporaryKey", &body.to_string()).signing_action();
        world.send(key.raw()).await.assert_refused_v3("InvalidParameter");
    }
}
