//! Integers: decimal text in forms, numbers or digits in JSON (contract section 3).

use opencpm_domain::Condition::*;

use super::Section;
use crate::ask::{ALL, ENCODED, JSON, devices, result};
use crate::case::{done, refused};

pub(super) fn section() -> Section {
    let mut cases = Vec::new();
    for text in
        ["1.0", "1.5", "1e1", "0x1", "1,000", "one", " 1", "1 ", "+1", "１", "--1", "1-", "true"]
    {
        let limit = devices().with("limit", text);
        cases.push(refused(format!("limit {text:?}"), ALL, limit, ParameterInvalid));
        let task = result().with("taskId", text);
        cases.push(refused(format!("task {text:?}"), ALL, task, ParameterInvalid));
    }
    for text in [
        "-1",
        "-99999999999999999999",
        "99999999999999999999",
        "340282366920938463463374607431768211456",
    ] {
        let limit = devices().with("limit", text);
        cases.push(refused(format!("limit {text}"), ALL, limit, ParameterOutOfBounds));
        let task = result().with("taskId", text);
        cases.push(refused(format!("task {text}"), ALL, task, ParameterOutOfBounds));
    }
    for text in ["20", "020"] {
        cases.push(done(format!("limit {text}"), ENCODED, devices().with("limit", text)));
    }
    for value in ["20", r#""20""#] {
        let ask = devices().json(&format!(r#"{{"Limit":{value}}}"#));
        cases.push(done(format!("limit {value} in JSON"), JSON, ask));
    }
    for value in ["20.0", "2.5", "2e1", "true", "[20]", "{}", r#""""#, r#""2e1""#, r#"["20"]"#] {
        let ask = devices().json(&format!(r#"{{"Limit":{value}}}"#));
        cases.push(refused(format!("limit {value} in JSON"), JSON, ask, ParameterInvalid));
    }
    for value in [
        "0",
        "-1",
        "101",
        "9007199254740992",
        "18446744073709551615",
        "-9223372036854775808",
        "18446744073709551616",
        "-9223372036854775809",
        "340282366920938463463374607431768211456",
    ] {
        let ask = devices().json(&format!(r#"{{"Limit":{value}}}"#));
        cases.push(refused(format!("limit {value} in JSON"), JSON, ask, ParameterOutOfBounds));
    }
    cases.push(done("a task as digits in JSON", JSON, result().json(r#"{"TaskId":"<task>"}"#)));
    cases.push(done("a task as a number in JSON", JSON, result().json(r#"{"TaskId":<task>}"#)));
    Section { title: "integers", cases, stories: Vec::new() }
}
