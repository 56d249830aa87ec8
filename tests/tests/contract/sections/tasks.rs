//! Task status and operation log (contract 4.2, 4.4).

use opencpm_domain::Condition::{DeviceBusy, NotFound};
use serde_json::json;

use super::Section;
use crate::ask::{ALL, V2, V3, Way, devices, log, reset, result};
use crate::case::{Case, Failure, Story, ensure, refused, shows};
use crate::target::Target;

pub(super) fn section() -> Section {
    let mut cases = forms();
    cases.extend([
        refused("a task that is not there", ALL, result().with("taskId", "1"), NotFound),
        refused("a task of another account", ALL, result().by("other"), NotFound),
        refused("the log of no device", ALL, log().with("instanceId", "cpm-nobody"), NotFound),
        refused("the log of another account's device", ALL, log().by("other"), NotFound),
    ]);
    let stories = vec![
        Story {
            name: "2.0: unknown and foreign tasks are not told apart",
            run: |t| alike(t, Way::V2Post),
        },
        Story {
            name: "3.0: unknown and foreign tasks are not told apart",
            run: |t| alike(t, Way::Tc3Post),
        },
        Story {
            name: "2.0: a task from acceptance to its end",
            run: |t| whole_task(t, Way::V2Post),
        },
        Story {
            name: "3.0: a task from acceptance to its end",
            run: |t| whole_task(t, Way::Tc3Post),
        },
    ];
    Section { title: "tasks and log", cases, stories }
}

fn forms() -> Vec<Case> {
    let old = || log().with("startTime", "2016-01-01").with("endTime", "2016-01-02");
    vec![
        shows(
            "2.0: a task that succeeded",
            V2,
            result(),
            &[
                ("/status", json!(1)),
                ("/instanceIds/0/instanceId", json!("<worked>")),
                ("/instanceIds/0/status", json!(1)),
                ("/resourceIds/0/instanceId", json!("<worked>")),
                ("/resourceIds/0/status", json!(1)),
            ],
        ),
        shows(
            "3.0: a task that succeeded",
            V3,
            result(),
            &[
                ("/TaskStatus", json!(1)),
                ("/SubtaskStatusSet/0/InstanceId", json!("<worked>")),
                ("/SubtaskStatusSet/0/TaskStatus", json!(1)),
            ],
        ),
        shows(
            "2.0: an entry of the log",
            V2,
            log(),
            &[
                ("/totalCount", json!(1)),
                ("/logs/0/instanceId", json!("<worked>")),
                ("/logs/0/taskId", json!("<task>")),
                ("/logs/0/appId", json!("<app>")),
                ("/logs/0/taskName", json!("resetPasswd")),
                ("/logs/0/status", json!("1")),
            ],
        ),
        shows(
            "3.0: an entry of the log",
            V3,
            log(),
            &[
                ("/TotalCount", json!(1)),
                ("/DeviceOperationLogSet/0/InstanceId", json!("<worked>")),
                ("/DeviceOperationLogSet/0/TaskName", json!("resetPasswd")),
                ("/DeviceOperationLogSet/0/Status", json!(1)),
            ],
        ),
        shows(
            "2.0: days without an entry",
            V2,
            old(),
            &[("/totalCount", json!(0)), ("/logs", json!([]))],
        ),
        shows(
            "3.0: days without an entry",
            V3,
            old(),
            &[("/TotalCount", json!(0)), ("/DeviceOperationLogSet", json!([]))],
        ),
        shows(
            "2.0: a page of the log behind the last",
            V2,
            log().with("offset", "7"),
            &[("/totalCount", json!(1)), ("/logs", json!([]))],
        ),
        shows(
            "3.0: a page of the log behind the last",
            V3,
            log().with("offset", "7"),
            &[("/TotalCount", json!(1)), ("/DeviceOperationLogSet", json!([]))],
        ),
    ]
}

fn alike(target: &Target, way: Way) -> Result<(), Failure> {
    let message = |ask, number: &str| {
        let reply = target.answer(&ask, way)?;
        let json: serde_json::Value = serde_json::from_str(&reply.body).unwrap_or_default();
        let text = json.pointer("/Response/Error/Message").or_else(|| json.pointer("/message"));
        Ok::<_, Failure>(text.map(|text| text.to_string().replace(number, "N")))
    };
    let foreign = message(result().by("other"), &target.filled("<task>")?)?;
    let unknown = message(result().with("taskId", "9007199254740990"), "9007199254740990")?;
    Ok(ensure(foreign == unknown && foreign.is_some(), || format!("{foreign:?}, {unknown:?}"))?)
}

/// While it is open, the device shows 11 and takes no other; then it is what it was.
fn whole_task(target: &Target, way: Way) -> Result<(), Failure> {
    let shown = |target: &Target| {
        let list = target.done(&devices().with("instanceIds.0", "<one>"), Way::V2Post)?;
        Ok::<_, Failure>(list["deviceList"][0]["operateStatus"].clone())
    };
    let halted = target.halt_one()?;
    let ask = reset().with("instanceIds.0", "<one>");
    let accepted = target.done(&ask, way)?;
    let task = accepted.get("taskId").or_else(|| accepted.get("TaskId"));
    let task = task.and_then(serde_json::Value::as_u64);
    let task = task.ok_or_else(|| format!("no number of a task in {accepted}"))?;
    ensure(shown(target)? == "11", || "the open task is not shown".to_owned())?;
    // Not the same request again, which would be answered as such.
    let another = ask.with("passwd", "other!1234");
    target.refused(&another, way, DeviceBusy)?;
    drop(halted);
    let status = target.wait_for(task)?;
    ensure(status == 1, || format!("the task ended with {status}"))?;
    Ok(ensure(shown(target)? == "1", || "the device is not what it was".to_owned())?)
}
