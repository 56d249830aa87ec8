//! The JSON body of 3.0 (contract section 3).

use opencpm_domain::Condition::*;
use serde_json::json;

use super::Section;
use crate::ask::{Ask, JSON, devices, reset, result};
use crate::case::{done, refused, shows};

pub(super) fn section() -> Section {
    let list = |body: &str| devices().json(body);
    let mut cases = vec![
        done("an empty body is an empty object", JSON, list("")),
        done("an empty object", JSON, list("{}")),
        done("spaces and lines around it", JSON, list(" \r\n\t{ } \n")),
        done("null is absent", JSON, list(r#"{"Limit":null,"Alias":null,"InstanceIds":null}"#)),
        refused(
            "a required list that is null",
            JSON,
            reset().json(r#"{"InstanceIds":null,"Password":"abce1234"}"#),
            ParameterMissing,
        ),
        refused(
            "a required text that is null",
            JSON,
            reset().json(r#"{"InstanceIds":["<alive>"],"Password":null}"#),
            ParameterMissing,
        ),
        refused(
            "a required integer that is null",
            JSON,
            result().json(r#"{"TaskId":null}"#),
            ParameterMissing,
        ),
        refused("a reset with an empty body", JSON, reset().json(""), ParameterMissing),
        shows(
            "escapes in a key and a value",
            JSON,
            devices().by("lister").json(r#"{"\u0041lias":"\u7f51\u5173"}"#),
            &[("/TotalCount", json!(1))],
        ),
        done("a password with escapes", JSON, {
            reset().json(r#"{"InstanceIds":["<alive>"],"Password":"\u0061bce1234"}"#)
        }),
        refused("bytes that are no UTF-8", JSON, of_bytes(b"{\"Alias\":\"\xff\"}"), Malformed),
        refused("a BOM", JSON, of_bytes(b"\xef\xbb\xbf{}"), Malformed),
        refused("half of a UTF-16 pair", JSON, list(r#"{"Alias":"\ud800"}"#), Malformed),
        refused("a key twice", JSON, list(r#"{"Limit":1,"Limit":2}"#), Malformed),
        refused(
            "a key twice with the same value",
            JSON,
            list(r#"{"Limit":1,"Limit":1}"#),
            Malformed,
        ),
        refused(
            "a key twice, once escaped",
            JSON,
            list(r#"{"Limit":1,"L\u0069mit":1}"#),
            Malformed,
        ),
        refused("an unknown key twice", JSON, list(r#"{"Foo":1,"Foo":1}"#), Malformed),
        refused(
            "Password twice, and it is not told",
            JSON,
            {
                reset().json(
                    r#"{"InstanceIds":["<alive>"],"Password":"abce1234","Password":"abce9999"}"#,
                )
            },
            Malformed,
        )
        .hides("abce1234")
        .hides("abce9999"),
        refused(
            "broken JSON, and the password is not told",
            JSON,
            reset().json(r#"{"Password":"abce1234",}"#),
            Malformed,
        )
        .hides("abce1234"),
        refused("an unknown key", JSON, list(r#"{"Foo":1}"#), ParameterUnknown),
        refused("a name of 2.0", JSON, list(r#"{"limit":1}"#), ParameterUnknown),
        refused(
            "a list written as a form has it",
            JSON,
            list(r#"{"InstanceIds.0":"cpm-1"}"#),
            ParameterUnknown,
        ),
        refused(
            "a common parameter in the body",
            JSON,
            list(r#"{"Action":"DescribeDevices"}"#),
            ParameterUnknown,
        ),
        refused(
            "an unknown key in a reset",
            JSON,
            reset().json(r#"{"InstanceIds":["<alive>"],"Password":"abce1234","Force":1}"#),
            ParameterUnknown,
        )
        .hides("abce1234"),
    ];
    for body in ["[]", "1", "null", "true", r#""a""#] {
        cases.push(refused(format!("{body} is no object"), JSON, list(body), Malformed));
    }
    for body in [
        "{",
        "}",
        "{}x",
        "{}{}",
        "{'Limit':1}",
        "{Limit:1}",
        r#"{"Limit":1,}"#,
        r#"{"Limit":01}"#,
        r#"{"Limit":+1}"#,
        r#"{"Limit":.5}"#,
        r#"{"Limit":NaN}"#,
        r#"{"Limit"}"#,
        "{\"Alias\":\"\n\"}",
        r#"{"Alias":"\x41"}"#,
        "Limit=1",
        " ",
    ] {
        cases.push(refused(format!("{body:?} is no JSON"), JSON, list(body), Malformed));
    }
    let deep = format!(r#"{{"Alias":{}"#, "[".repeat(100_000));
    cases.push(refused("100,000 levels", JSON, list(&deep), Malformed));
    for (name, value) in [
        ("Alias", "5"),
        ("Alias", "true"),
        ("Alias", r#"["a"]"#),
        ("Alias", r#"{"a":"b"}"#),
        ("InstanceIds", r#""cpm-1""#),
        ("InstanceIds", "5"),
        ("InstanceIds", "[5]"),
        ("InstanceIds", "[null]"),
        ("InstanceIds", r#"[["cpm-1"]]"#),
        ("InstanceIds", r#"{"0":"cpm-1"}"#),
        ("InstanceIds", r#"["cpm-1",true]"#),
        ("LanIps", "[1.5]"),
    ] {
        let body = format!(r#"{{"{name}":{value}}}"#);
        cases.push(refused(format!("{name} as {value}"), JSON, list(&body), ParameterInvalid));
    }
    let number = reset().json(r#"{"InstanceIds":["<alive>"],"Password":12345678}"#);
    cases.push(
        refused("a password that is a number", JSON, number, ParameterInvalid).hides("12345678"),
    );
    Section { title: "JSON", cases, stories: Vec::new() }
}

/// Bytes that no text is: sent under a signature that leaves the payload out.
fn of_bytes(bytes: &'static [u8]) -> Ask {
    devices()
        .tc3(|t| t.set("X-TC-Content-SHA256", "UNSIGNED-PAYLOAD"))
        .sent(move |m| m.body = bytes.to_vec())
}
