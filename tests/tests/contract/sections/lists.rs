//! Lists: `name.N` in every form in which clients send it (contract section 3).

use opencpm_domain::Condition::*;
use serde_json::{Value, json};

use super::Section;
use crate::ask::{Ask, ENCODED, JSON, V2, Way, devices, reset, result};
use crate::case::{Case, Failure, Story, ensure, refused, shows};
use crate::target::Target;

const V3_ENCODED: &[Way] = &[Way::V1Get, Way::V1Post, Way::Tc3Get];

pub(super) fn section() -> Section {
    let mut cases = Vec::new();
    for (what, indexes) in [
        ("from 0", ["0", "1", "2"]),
        ("from 1", ["1", "2", "3"]),
        ("with gaps", ["3", "17", "40"]),
        ("in falling order", ["12", "10", "2"]),
        ("with large indexes", ["0", "100000", "4294967296"]),
        ("with an index beyond 64 bits", ["0", "1", "99999999999999999999999"]),
    ] {
        cases.extend(three(what, &indexes, '.'));
        cases.extend(three(&format!("{what}, with _"), &indexes, '_'));
    }
    let listed = |name: &str| devices().by("lister").with(name, "<listed-1>");
    cases.push(shows("a bare value in 2.0", V2, listed("instanceIds"), &[("/totalNum", json!(1))]));
    cases.push(shows(
        "a bare value in 3.0",
        V3_ENCODED,
        listed("instanceIds"),
        &[("/TotalCount", json!(1))],
    ));
    cases.push(shows(
        "a value twice in a filter",
        V2,
        listed("instanceIds.0").with("instanceIds.1", "<listed-1>"),
        &[("/totalNum", json!(1))],
    ));
    cases.push(shows(
        "an array",
        JSON,
        devices().by("lister").json(r#"{"InstanceIds":["<listed-1>","<listed-2>"]}"#),
        &[("/TotalCount", json!(2))],
    ));
    for index in ["00", "01", "007", "-1", "+1", "x", "1x", "", " 1", "1.0", "0.0", "１"] {
        let ask = devices().with(&format!("instanceIds.{index}"), "cpm-1");
        cases.push(refused(format!("index {index:?}"), ENCODED, ask, ParameterInvalid));
    }
    let both = devices().with("instanceIds", "cpm-1").with("instanceIds.0", "cpm-2");
    cases.push(refused("a bare value and an index", ENCODED, both, ParameterInvalid));
    let brackets = devices().with("instanceIds[0]", "cpm-1");
    cases.push(refused("an index in brackets", ENCODED, brackets, ParameterUnknown));
    let scalar = devices().with("limit.0", "1");
    cases.push(refused("an index where one value is expected", ENCODED, scalar, ParameterUnknown));
    cases.push(refused(
        "an empty id",
        ENCODED,
        devices().with("instanceIds.0", ""),
        ParameterInvalid,
    ));
    let stories = vec![
        Story {
            name: "2.0: devices keep the order of their indexes",
            run: |t| by_number(t, Way::V2Get),
        },
        Story {
            name: "v1: devices keep the order of their indexes",
            run: |t| by_number(t, Way::V1Post),
        },
        Story {
            name: "TC3 GET: devices keep the order of their indexes",
            run: |t| by_number(t, Way::Tc3Get),
        },
        Story {
            name: "JSON: devices keep the order of the array",
            run: |t| by_number(t, Way::Tc3Post),
        },
    ];
    Section { title: "lists", cases, stories }
}

/// A list of three devices that exist.
fn three(what: &str, indexes: &[&str; 3], separator: char) -> [Case; 2] {
    let filter = |list: &str| {
        let ids = ["<listed-1>", "<listed-2>", "<listed-3>"];
        indexes.iter().zip(ids).fold(devices().by("lister"), |ask: Ask, (index, id)| {
            ask.with(&format!("{list}{separator}{index}"), id)
        })
    };
    let name = |dialect: &str| format!("{what}, {dialect}");
    [
        shows(name("2.0"), V2, filter("instanceIds"), &[("/totalNum", json!(3))]),
        shows(name("3.0"), V3_ENCODED, filter("instanceIds"), &[("/TotalCount", json!(3))]),
    ]
}

/// 10 comes behind 2, though not in the order of bytes.
fn by_number(target: &Target, way: Way) -> Result<(), Failure> {
    let (first, second) = if way == Way::Tc3Post { ("0", "1") } else { ("2", "10") };
    let ask = reset()
        .without("instanceIds.0")
        .with(&format!("instanceIds.{first}"), "<alive2>")
        .with(&format!("instanceIds.{second}"), "<alive>");
    let answer = target.done(&ask, way)?;
    let order = [target.filled("<alive2>")?, target.filled("<alive>")?];
    let task = ["taskId", "TaskId"].iter().find_map(|name| answer[*name].as_u64());
    let task = task.ok_or_else(|| format!("no task in {answer}"))?.to_string();
    let data = target.done(&result().with("taskId", &task), Way::V2Post)?;
    let ids: Vec<_> = data["instanceIds"].as_array().into_iter().flatten().collect();
    let ids: Vec<_> = ids.iter().map(|device| device["instanceId"].clone()).collect();
    Ok(ensure(ids == order.map(Value::from), || format!("the order is {ids:?}"))?)
}
