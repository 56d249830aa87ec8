//! The device list: filters, pages, order, and the form of its answer (contract 4.3, 4.5).

use opencpm_domain::Condition::ParameterInvalid;
use serde_json::{Value, json};

use super::Section;
use crate::ask::{Ask, JSON, V2, V3, Way, agents, devices};
use crate::case::{Case, Expected, Failure, Story, ensure, refused, shows};
use crate::target::Target;

pub(super) fn section() -> Section {
    let mut cases = found();
    cases.extend(tags());
    cases.extend(pages());
    cases.extend(orders());
    cases.extend(forms());
    let stories = vec![
        Story {
            name: "2.0: pages hold every device once",
            run: |t| walk(t, Way::V2Get, "deviceList", "instanceId"),
        },
        Story {
            name: "3.0: pages hold every device once",
            run: |t| walk(t, Way::Tc3Post, "DeviceInfoSet", "InstanceId"),
        },
        Story { name: "2.0: every scalar of a device is a text", run: texts },
        Story { name: "3.0: types of a device's fields", run: types },
    ];
    Section { title: "devices", cases, stories }
}

type Fields = &'static [(&'static str, &'static str)];
type Tags = &'static [(&'static str, &'static [&'static str])];

fn lister() -> Ask {
    devices().by("lister")
}

/// Filters and how many of the five devices they find.
fn found() -> Vec<Case> {
    let both: &[(&str, Fields, u64)] = &[
        ("no filter", &[], 5),
        ("an id", &[("instanceIds.0", "<listed-2>")], 1),
        ("two ids", &[("instanceIds.0", "<listed-2>"), ("instanceIds.1", "<listed-4>")], 2),
        ("an unknown id", &[("instanceIds.0", "cpm-nobody")], 0),
        ("an id of another account", &[("instanceIds.0", "<foreign>")], 0),
        (
            "a known and an unknown id",
            &[("instanceIds.0", "<listed-2>"), ("instanceIds.1", "cpm-nobody")],
            1,
        ),
        ("a private address", &[("lanIps.0", "10.6.10.12")], 1),
        ("two private addresses", &[("lanIps.0", "10.6.10.12"), ("lanIps.1", "10.6.10.13")], 2),
        ("a part of a private address", &[("lanIps.0", "10.6.10.1")], 0),
        ("a public address", &[("wanIps.0", "203.0.113.7")], 1),
        ("a part of an alias, any case", &[("alias", "GATE")], 2),
        ("an alias with a wildcard of SQL", &[("alias", "b_2")], 1),
        ("a percent sign is no wildcard", &[("alias", "%")], 0),
        ("an underscore is no wildcard", &[("alias", "db_1")], 0),
        ("a quotation mark", &[("alias", "' OR 1=1 --")], 0),
        ("a part of an address", &[("vagueIp", "6.10.1")], 5),
        ("a part of a public address", &[("vagueIp", "0.113")], 1),
        ("expires then or later", &[("deadlineStartTime", "2030-01-03 00:00:00")], 3),
        ("expires then or earlier", &[("deadlineEndTime", "2030-01-03 00:00:00")], 3),
        (
            "expires between",
            &[
                ("deadlineStartTime", "2030-01-02 00:00:00"),
                ("deadlineEndTime", "2030-01-03 23:59:59"),
            ],
            2,
        ),
        ("renewed", &[("autoRenewFlag", "1")], 3),
        ("not renewed", &[("autoRenewFlag", "0")], 2),
        ("a network", &[("unVpcId", "vpc-3")], 1),
        ("a subnet", &[("unSubnetId", "subnet-4")], 1),
        ("a class", &[("deviceClassCode", "PS105")], 1),
        ("a type", &[("deviceType", "storage")], 3),
        ("at a special price", &[("isLuckyDevice", "1")], 1),
        ("a state of maintenance", &[("maintainStatus", "WillExpire")], 1),
        ("two filters that agree", &[("alias", "gate"), ("lanIps.0", "10.6.10.11")], 1),
        ("two filters that do not", &[("alias", "gate"), ("lanIps.0", "10.6.10.13")], 0),
        ("three filters", &[("alias", "gate"), ("autoRenewFlag", "0"), ("vagueIp", "10.12")], 1),
    ];
    let v2_only: &[(&str, Fields, u64)] = &[
        ("a network by number", &[("vpcId", "103")], 1),
        ("a subnet by number", &[("subnetId", "24")], 1),
        ("subnets by number", &[("subnetIds.0", "24"), ("subnetIds.1", "25")], 2),
        ("subnets", &[("unSubnetIds.0", "subnet-1"), ("unSubnetIds.1", "subnet-2")], 2),
        ("an old class", &[("deviceClass", "M12")], 1),
        ("a project", &[("projectId", "75")], 1),
        ("a management address", &[("mgtIps.0", "192.168.0.1")], 1),
        ("a status", &[("status", "14")], 1),
        ("two statuses", &[("status.0", "14"), ("status.1", "4")], 5),
    ];
    let ask =
        |fields: Fields| fields.iter().fold(lister(), |ask, (name, value)| ask.with(name, value));
    let mut cases = Vec::new();
    for (what, fields, total) in both.iter().chain(v2_only) {
        cases.push(shows(format!("2.0: {what}"), V2, ask(fields), &[("/totalNum", json!(total))]));
    }
    for (what, fields, total) in both {
        cases.push(shows(
            format!("3.0: {what}"),
            V3,
            ask(fields),
            &[("/TotalCount", json!(total))],
        ));
    }
    cases
}

/// Tags are lists in a list, and JSON has them as objects.
fn tags() -> Vec<Case> {
    let mut cases = Vec::new();
    let rows: &[(&str, Tags, u64)] = &[
        ("a key", &[("team", &[])], 5),
        ("a value", &[("team", &["web"])], 2),
        ("any of two values", &[("team", &["web", "db"])], 5),
        ("a value that nobody has", &[("team", &["ops"])], 0),
        ("a key that nobody has", &[("rack", &[])], 0),
        ("all of two keys", &[("team", &["web"]), ("rack", &[])], 0),
    ];
    for (what, tags, total) in rows {
        let form = |[list, key, values]: [&str; 3]| {
            tags.iter().enumerate().fold(lister(), |ask, (n, (tag, wanted))| {
                let ask = ask.with(&format!("{list}.{n}.{key}"), tag);
                wanted.iter().enumerate().fold(ask, |ask, (m, value)| {
                    ask.with(&format!("{list}.{n}.{values}.{m}"), value)
                })
            })
        };
        let object = |(key, values): &(&str, &[&str])| json!({"TagKey": key, "TagValues": values});
        let json = json!({"Tags": tags.iter().map(object).collect::<Vec<_>>()}).to_string();
        let name = |dialect: &str| format!("{dialect}: tags: {what}");
        let (v2, v3) = ([("/totalNum", json!(total))], [("/TotalCount", json!(total))]);
        cases.push(shows(name("2.0"), V2, form(["tags", "tagKey", "tagValues"]), &v2));
        cases.push(shows(name("3.0"), &V3[..3], form(["Tags", "TagKey", "TagValues"]), &v3));
        cases.push(shows(name("JSON"), JSON, lister().json(&json), &v3));
    }
    for (what, tags) in [
        ("without a key", r#"[{"TagValues":["web"]}]"#),
        ("that are texts", r#"["team"]"#),
        ("that are no list", r#"{"TagKey":"team"}"#),
        ("with a number", r#"[{"TagKey":5}]"#),
        ("with a value that is no list", r#"[{"TagKey":"team","TagValues":"web"}]"#),
        ("with an unknown member", r#"[{"TagKey":"team","Foo":"web"}]"#),
    ] {
        let ask = lister().json(&format!(r#"{{"Tags":{tags}}}"#));
        cases.push(refused(format!("tags {what}"), JSON, ask, ParameterInvalid));
    }
    cases
}

fn pages() -> Vec<Case> {
    let page = |offset: &str, limit: &str| lister().with("offset", offset).with("limit", limit);
    let mut cases = Vec::new();
    for (offset, first) in [("0", "<listed-1>"), ("1", "<listed-2>"), ("4", "<listed-5>")] {
        let name = |dialect: &str| format!("{dialect}: a page from {offset}");
        cases.push(shows(
            name("2.0"),
            V2,
            page(offset, "2"),
            &[("/totalNum", json!(5)), ("/deviceList/0/instanceId", json!(first))],
        ));
        cases.push(shows(
            name("3.0"),
            V3,
            page(offset, "2"),
            &[("/TotalCount", json!(5)), ("/DeviceInfoSet/0/InstanceId", json!(first))],
        ));
    }
    for offset in ["5", "6", "9007199254740991"] {
        let name = |dialect: &str| format!("{dialect}: a page from {offset}, behind the last");
        let empty = json!([]);
        cases.push(shows(
            name("2.0"),
            V2,
            page(offset, "2"),
            &[("/totalNum", json!(5)), ("/deviceList", empty.clone())],
        ));
        cases.push(shows(
            name("3.0"),
            V3,
            page(offset, "2"),
            &[("/TotalCount", json!(5)), ("/DeviceInfoSet", empty)],
        ));
    }
    cases
}

/// Pages of two hold every device once.
fn walk(target: &Target, way: Way, list: &str, id: &str) -> Result<(), Failure> {
    let mut seen = Vec::new();
    for (offset, count) in [("0", 2), ("2", 2), ("4", 1)] {
        let data = target.done(&lister().with("offset", offset).with("limit", "2"), way)?;
        let page = data[list].as_array().cloned().unwrap_or_default();
        ensure(page.len() == count, || format!("{} devices from {offset}", page.len()))?;
        seen.extend(page.iter().map(|device| device[id].as_str().unwrap_or_default().to_owned()));
    }
    let all = (1..=5).map(|n| target.filled(&format!("<listed-{n}>")));
    let all = all.collect::<Result<Vec<_>, _>>()?;
    Ok(ensure(seen == all, || format!("the pages hold {seen:?}"))?)
}

/// Which device comes first.
fn orders() -> Vec<Case> {
    let mut cases = Vec::new();
    for (field, order, first) in [
        ("instanceId", "0", "<listed-1>"),
        ("instanceId", "1", "<listed-5>"),
        ("InstanceId", "1", "<listed-5>"),
        ("lanIp", "1", "<listed-5>"),
        ("LanIp", "0", "<listed-1>"),
        ("subnetId", "1", "<listed-5>"),
        ("deliverTime", "0", "<listed-5>"),
        ("DeliverTime", "1", "<listed-1>"),
        ("deadline", "0", "<listed-1>"),
        ("Deadline", "1", "<listed-5>"),
    ] {
        let ask = lister().with("orderField", field).with("order", order);
        let name = |dialect: &str| format!("{dialect}: by {field}, {order}");
        cases.push(shows(
            name("2.0"),
            V2,
            ask.clone(),
            &[("/deviceList/0/instanceId", json!(first))],
        ));
        cases.push(shows(name("3.0"), V3, ask, &[("/DeviceInfoSet/0/InstanceId", json!(first))]));
    }
    let descending = lister().with("order", "1");
    cases.push(shows(
        "descending by id unless told",
        V2,
        descending,
        &[("/deviceList/0/instanceId", json!("<listed-5>"))],
    ));
    cases
}

fn forms() -> Vec<Case> {
    let first = || lister().with("instanceIds.0", "<listed-1>");
    vec![
        shows(
            "2.0: fields of a device",
            V2,
            first(),
            &[
                ("/totalNum", json!(1)),
                ("/deviceList/0/instanceId", json!("<listed-1>")),
                ("/deviceList/0/vpcId", json!("101")),
                ("/deviceList/0/subnetId", json!("21")),
                ("/deviceList/0/unVpcId", json!("vpc-1")),
                ("/deviceList/0/unSubnetId", json!("subnet-1")),
                ("/deviceList/0/lanIp", json!("10.6.10.11")),
                ("/deviceList/0/wanIp", json!("203.0.113.7")),
                ("/deviceList/0/deviceStatus", json!("4")),
                ("/deviceList/0/operateStatus", json!("1")),
                ("/deviceList/0/alias", json!("gateway")),
                ("/deviceList/0/projectId", json!("71")),
                ("/deviceList/0/autoRenewFlag", json!("1")),
                ("/deviceList/0/osTypeId", json!("0")),
                ("/deviceList/0/deviceClass", json!("M11")),
                ("/deviceList/0/deviceClassCode", json!("PS101")),
                ("/deviceList/0/tagDetail", json!([{"key": "team", "value": "web"}])),
            ],
        ),
        shows(
            "3.0: fields of a device",
            V3,
            first(),
            &[
                ("/TotalCount", json!(1)),
                ("/DeviceInfoSet/0/InstanceId", json!("<listed-1>")),
                ("/DeviceInfoSet/0/VpcId", json!("vpc-1")),
                ("/DeviceInfoSet/0/SubnetId", json!("subnet-1")),
                ("/DeviceInfoSet/0/LanIp", json!("10.6.10.11")),
                ("/DeviceInfoSet/0/WanIp", json!("203.0.113.7")),
                ("/DeviceInfoSet/0/DeviceStatus", json!(4)),
                ("/DeviceInfoSet/0/OperateStatus", json!(1)),
                ("/DeviceInfoSet/0/AutoRenewFlag", json!(1)),
                ("/DeviceInfoSet/0/OsTypeId", json!(0)),
                ("/DeviceInfoSet/0/Tags", json!([{"TagKey": "team", "TagValues": ["web"]}])),
                ("/DeviceInfoSet/0/MaintainStatus", Value::Null),
                ("/DeviceInfoSet/0/MaintainMessage", Value::Null),
            ],
        ),
        shows(
            "agents: one that is connected",
            V2,
            agents().with("instanceIds.0", "<worked>"),
            &[
                ("/totalNum", json!(1)),
                ("/agentList/0/instanceId", json!("<worked>")),
                ("/agentList/0/agentStatus", json!(1)),
            ],
        ),
        shows(
            "agents: one that is not",
            V2,
            agents().with("instanceIds", "<offline>"),
            &[("/agentList/0/agentStatus", json!(0))],
        ),
        shows(
            "agents: one that never enrolled",
            V2,
            agents().with("instanceIds_0", "<never>"),
            &[("/agentList/0/agentStatus", json!(2)), ("/agentList/0/lastSeenTime", json!(""))],
        ),
        shows(
            "agents: one of another account",
            V2,
            agents().with("instanceIds.0", "<foreign>"),
            &[("/totalNum", json!(0)), ("/agentList", json!([]))],
        ),
    ]
}

/// Of a device in 2.0; a server may have more.
const FIELDS: &str = "instanceId vpcId subnetId unVpcId unSubnetId lanIp wanIp deviceStatus \
    operateStatus osTypeId raidId alias appId zoneId projectId deliverTime deadline isVpcGateway \
    autoRenewFlag deviceClass deviceClassCode tagDetail";

fn texts(target: &Target) -> Result<(), Failure> {
    let data = target.done(&lister(), Way::V2Post)?;
    ensure(data["totalNum"].is_u64() && data["serverTimestamp"].is_u64(), || data.to_string())?;
    let list = data["deviceList"].as_array().cloned().unwrap_or_default();
    ensure(list.len() == 5, || format!("{} devices", list.len()))?;
    for (name, value) in list.iter().flat_map(|device| device.as_object().into_iter().flatten()) {
        let right = if name == "tagDetail" { value.is_array() } else { value.is_string() };
        ensure(right, || format!("{name} is {value}"))?;
    }
    let missing = FIELDS.split_whitespace().find(|name| list[0].get(*name).is_none());
    Ok(ensure(missing.is_none(), || format!("{missing:?} is missing"))?)
}

fn types(target: &Target) -> Result<(), Failure> {
    const NUMBERS: [&str; 8] = [
        "DeviceStatus",
        "OperateStatus",
        "OsTypeId",
        "RaidId",
        "AppId",
        "AutoRenewFlag",
        "CpmPayMode",
        "IsLuckyDevice",
    ];
    let response =
        target.expect(&lister(), Way::Tc3Post, &Expected::Done(vec![("/TotalCount", json!(5))]))?;
    let list = response["DeviceInfoSet"].as_array().cloned().unwrap_or_default();
    for (name, value) in list.iter().flat_map(|device| device.as_object().into_iter().flatten()) {
        let right = match name.as_str() {
            "Tags" => value.is_array(),
            "MaintainStatus" | "MaintainMessage" => value.is_string() || value.is_null(),
            name if NUMBERS.contains(&name) => value.is_u64(),
            _ => value.is_string(),
        };
        ensure(right, || format!("{name} is {value}"))?;
    }
    let count = list.first().and_then(Value::as_object).map_or(0, |members| members.len());
    Ok(ensure(count == 26, || format!("{count} fields"))?)
}
