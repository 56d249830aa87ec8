//! Requests that come again, stolen or not, also after a restart (contract 2.3, 2.6).

use opencpm_domain::Condition::*;
use opencpm_tests::wire::Message;
use serde_json::{Value, json};

use super::Section;
use crate::ask::{Ask, Dialect, Way, ask, devices, reset};
use crate::case::{Expected, Failure, Story, ensure};
use crate::target::Target;

pub(super) fn section() -> Section {
    let stories = vec![
        Story {
            name: "2.0 GET: refused the second time",
            run: |t| nonce_again(t, Way::V2Get, false),
        },
        Story {
            name: "2.0 POST: refused the second time",
            run: |t| nonce_again(t, Way::V2Post, false),
        },
        Story {
            name: "2.0 GET: refused after a restart",
            run: |t| nonce_again(t, Way::V2Get, true),
        },
        Story {
            name: "2.0 POST: refused after a restart",
            run: |t| nonce_again(t, Way::V2Post, true),
        },
        Story {
            name: "v1 GET: the first answer again",
            run: |t| first_answer(t, Way::V1Get, false),
        },
        Story {
            name: "v1 POST: the first answer again",
            run: |t| first_answer(t, Way::V1Post, false),
        },
        Story {
            name: "TC3 GET: the first answer again",
            run: |t| first_answer(t, Way::Tc3Get, false),
        },
        Story {
            name: "TC3 POST: the first answer again",
            run: |t| first_answer(t, Way::Tc3Post, false),
        },
        Story {
            name: "v1 POST: the first answer after a restart",
            run: |t| first_answer(t, Way::V1Post, true),
        },
        Story {
            name: "TC3 GET: the first answer after a restart",
            run: |t| first_answer(t, Way::Tc3Get, true),
        },
        Story {
            name: "TC3 POST: the first answer after a restart",
            run: |t| first_answer(t, Way::Tc3Post, true),
        },
        Story { name: "2.0: a used nonce with another password", run: nonce_of_another },
        Story { name: "2.0: a used nonce at another second is new", run: nonce_at_another_second },
        Story { name: "2.0: a used nonce of another key is new", run: nonce_of_another_key },
        Story { name: "2.0: reads may share a nonce", run: reads_share },
        Story { name: "2.0: a refused request leaves its nonce", run: refused_leaves_nonce },
        Story {
            name: "2.0: a change of the administrator once",
            run: |t| administrator(t, Way::V2Post),
        },
        Story {
            name: "3.0: a change of the administrator once",
            run: |t| administrator(t, Way::Tc3Post),
        },
        Story {
            name: "3.0: a stolen request with another region",
            run: |t| with_header(t, "X-TC-Region", "moon"),
        },
        Story {
            name: "3.0: a stolen request with another language",
            run: |t| with_header(t, "X-TC-Language", "en-US"),
        },
        Story {
            name: "3.0: a stolen request with another client",
            run: |t| with_header(t, "X-TC-RequestClient", "me"),
        },
        Story { name: "3.0: a stolen request with digits in upper case", run: upper_case_digits },
        Story { name: "3.0: a stolen request with another action", run: another_action },
        Story { name: "3.0: a stolen read made a reset", run: read_made_reset },
        Story {
            name: "v1: the same form in another order and encoding",
            run: form_encoded_differently,
        },
        Story { name: "3.0: UNSIGNED-PAYLOAD: another body is another task", run: unsigned_bodies },
        Story { name: "3.0: a refused request may come again", run: refused_may_come_again },
    ];
    Section { title: "requests that come again", cases: Vec::new(), stories }
}

const DONE: Expected = Expected::Done(Vec::new());

fn task_of(answer: &Value) -> Result<u64, Failure> {
    let task = answer.get("taskId").or_else(|| answer.get("TaskId")).and_then(Value::as_u64);
    Ok(task.ok_or_else(|| format!("no task in {answer}"))?)
}

/// How many tasks the device of the last reset has had.
fn tasks_so_far(target: &Target) -> Result<u64, Failure> {
    let ask = ask("DescribeDeviceOperationLog", "").with("instanceId", &target.filled("<alive>")?);
    let data = target.done(&ask, Way::V2Post)?;
    Ok(data["totalCount"].as_u64().ok_or_else(|| data.to_string())?)
}

fn nonce_again(target: &Target, way: Way, restart: bool) -> Result<(), Failure> {
    let message = target.message(&reset(), way)?;
    let task = task_of(&target.expect_of(&message, Dialect::V2, &DONE)?)?;
    // While it is under way, and when it has ended.
    target.expect_of(&message, Dialect::V2, &Expected::Refused(Replayed))?;
    target.wait_for(task)?;
    if restart {
        target.restart()?;
    }
    let before = tasks_so_far(target)?;
    target.expect_of(&message, Dialect::V2, &Expected::Refused(Replayed))?;
    Ok(ensure(tasks_so_far(target)? == before, || "it became a task".to_owned())?)
}

fn first_answer(target: &Target, way: Way, restart: bool) -> Result<(), Failure> {
    let message = target.message(&reset(), way)?;
    let first = task_of(&target.expect_of(&message, Dialect::V3, &DONE)?)?;
    if restart {
        target.wait_for(first)?;
        target.restart()?;
    }
    same_task(target, &message, first)
}

/// The request is answered with this task, now and when the task has ended, and becomes no other.
fn same_task(target: &Target, message: &Message, first: u64) -> Result<(), Failure> {
    let answered = Expected::Done(vec![("/TaskId", json!(first))]);
    target.expect_of(message, Dialect::V3, &answered)?;
    target.wait_for(first)?;
    let before = tasks_so_far(target)?;
    target.expect_of(message, Dialect::V3, &answered)?;
    Ok(ensure(tasks_so_far(target)? == before, || "it became a task".to_owned())?)
}

/// A reset at this second, with this nonce.
fn with_nonce(nonce: &str, second: u64) -> Ask {
    reset().common("Nonce", nonce).common("Timestamp", &second.to_string())
}

fn fresh(target: &Target) -> (String, u64) {
    (target.nonce(), crate::target::now().as_secs())
}

fn nonce_of_another(target: &Target) -> Result<(), Failure> {
    let (nonce, second) = fresh(target);
    target.done(&with_nonce(&nonce, second), Way::V2Post)?;
    let other = with_nonce(&nonce, second).with("passwd", "other!1234");
    target.refused(&other, Way::V2Post, Replayed)?;
    target.refused(&other, Way::V2Get, Replayed)
}

fn nonce_at_another_second(target: &Target) -> Result<(), Failure> {
    let (nonce, second) = fresh(target);
    target.done(&with_nonce(&nonce, second), Way::V2Post)?;
    target.done(&with_nonce(&nonce, second - 1), Way::V2Post).map(|_| ())
}

fn nonce_of_another_key(target: &Target) -> Result<(), Failure> {
    let (nonce, second) = fresh(target);
    target.done(&with_nonce(&nonce, second), Way::V2Post)?;
    target.done(&with_nonce(&nonce, second).by("admin"), Way::V2Post).map(|_| ())
}

fn reads_share(target: &Target) -> Result<(), Failure> {
    let (nonce, second) = fresh(target);
    target.done(&with_nonce(&nonce, second), Way::V2Post)?;
    let read = devices().common("Nonce", &nonce).common("Timestamp", &second.to_string());
    for way in [Way::V2Get, Way::V2Post, Way::V2Get] {
        target.done(&read, way)?;
    }
    Ok(())
}

fn refused_leaves_nonce(target: &Target) -> Result<(), Failure> {
    let (nonce, second) = fresh(target);
    let ask = with_nonce(&nonce, second);
    target.refused(&ask.clone().with("instanceIds.0", "<never>"), Way::V2Post, AgentNotAlive)?;
    target.refused(&ask.clone().with("passwd", "short"), Way::V2Post, ParameterOutOfBounds)?;
    target.done(&ask, Way::V2Post)?;
    target.refused(&ask, Way::V2Post, Replayed)
}

/// There is no first answer to give: the secret of a new key is told once.
fn administrator(target: &Target, way: Way) -> Result<(), Failure> {
    let make = ask("CreateApiKey", "CreateApiKey").by("admin").with("uin", "1");
    let make =
        make.with("appId", "<administered>").tc3(|tc3| tc3.signed.push("x-tc-action".to_owned()));
    let message = target.message(&make, way)?;
    target.expect_of(&message, way.dialect(), &DONE)?;
    target.expect_of(&message, way.dialect(), &Expected::Refused(Replayed)).map(|_| ())
}

fn accepted(target: &Target) -> Result<(Message, u64), Failure> {
    let message = target.message(&reset(), Way::Tc3Post)?;
    let task = task_of(&target.expect_of(&message, Dialect::V3, &DONE)?)?;
    Ok((message, task))
}

/// The SDKs do not sign it.
fn with_header(target: &Target, name: &str, value: &str) -> Result<(), Failure> {
    let (mut message, task) = accepted(target)?;
    message.set(name, value);
    same_task(target, &message, task)
}

/// The fingerprint holds the decoded signature.
fn upper_case_digits(target: &Target) -> Result<(), Failure> {
    let (mut message, task) = accepted(target)?;
    let header = message.headers.iter().find(|(name, _)| name == "Authorization");
    let (head, digits) = header.and_then(|(_, v)| v.rsplit_once('=')).expect("a signature");
    let upper = format!("{head}={}", digits.to_ascii_uppercase());
    message.set("Authorization", &upper);
    same_task(target, &message, task)
}

/// Never another action than the body allows.
fn another_action(target: &Target) -> Result<(), Failure> {
    let (mut message, task) = accepted(target)?;
    target.wait_for(task)?;
    let before = tasks_so_far(target)?;
    for (action, condition) in [
        ("DescribeDevices", ParameterUnknown),
        ("DescribeOperationResult", ParameterMissing),
        ("DescribeDeviceOperationLog", ParameterMissing),
        ("NoSuchAction", UnknownAction),
    ] {
        message.set("X-TC-Action", action);
        target.expect_of(&message, Dialect::V3, &Expected::Refused(condition))?;
    }
    Ok(ensure(tasks_so_far(target)? == before, || "it became a task".to_owned())?)
}

fn read_made_reset(target: &Target) -> Result<(), Failure> {
    let read = devices().with("instanceIds.0", "<alive>");
    let mut message = target.message(&read, Way::Tc3Post)?;
    target.expect_of(&message, Dialect::V3, &DONE)?;
    message.set("X-TC-Action", "ResetDevicePassword");
    target.expect_of(&message, Dialect::V3, &Expected::Refused(ParameterMissing)).map(|_| ())
}

/// v1 signs what a form means, not how it is written.
fn form_encoded_differently(target: &Target) -> Result<(), Failure> {
    let mut message = target.message(&reset(), Way::V1Post)?;
    let task = task_of(&target.expect_of(&message, Dialect::V3, &DONE)?)?;
    let text = String::from_utf8(message.body).expect("text");
    let turned: Vec<_> = text.split('&').rev().collect();
    message.body =
        turned.join("&").replace("Ids.0", "Ids_0").replace("abce", "%61bce").into_bytes();
    same_task(target, &message, task)
}

fn unsigned_bodies(target: &Target) -> Result<(), Failure> {
    let unsigned = reset().tc3(|t| t.set("X-TC-Content-SHA256", "UNSIGNED-PAYLOAD"));
    let message = target.message(&unsigned, Way::Tc3Post)?;
    let first = task_of(&target.expect_of(&message, Dialect::V3, &DONE)?)?;
    same_task(target, &message, first)?;
    let text = String::from_utf8(message.body.clone()).expect("text");
    let other = Message { body: text.replace("abce1234", "abce1235").into_bytes(), ..message };
    let second = task_of(&target.expect_of(&other, Dialect::V3, &DONE)?)?;
    ensure(second != first, || "another body is the same task".to_owned())?;
    same_task(target, &other, second)
}

/// Only what became a task is remembered.
fn refused_may_come_again(target: &Target) -> Result<(), Failure> {
    let halted = target.halt_one()?;
    let of_one = reset().with("instanceIds.0", "<one>");
    let first = task_of(&target.done(&of_one, Way::V2Post)?)?;
    let message = target.message(&of_one, Way::Tc3Post)?;
    target.expect_of(&message, Dialect::V3, &Expected::Refused(DeviceBusy))?;
    drop(halted);
    target.wait_for(first)?;
    let second = task_of(&target.expect_of(&message, Dialect::V3, &DONE)?)?;
    target.wait_for(second)?;
    target
        .expect_of(&message, Dialect::V3, &Expected::Done(vec![("/TaskId", json!(second))]))
        .map(|_| ())
}
