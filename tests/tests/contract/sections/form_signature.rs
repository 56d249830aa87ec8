//! The signature of 2.0 and v1: what it covers, and the `@` rule (contract 2.2, 2.5).

use opencpm_domain::Condition::SignatureWrong;
use opencpm_tests::wire::Message;

use super::Section;
use crate::ask::{Ask, FORMS, V1, V2, Way, devices, reset};
use crate::case::{Case, done, refused};

pub(super) fn section() -> Section {
    let mut cases = vec![
        done("fields in any order", FORMS, reversed()),
        refused(
            "another key's secret",
            FORMS,
            devices().form(|f| f.secret_key.push('x')),
            SignatureWrong,
        ),
        refused("an empty secret", FORMS, devices().form(|f| f.secret_key.clear()), SignatureWrong),
        refused(
            "signed for the other method",
            FORMS,
            {
                devices().form(|f| {
                    f.signed_method = if f.method == "GET" { "POST" } else { "GET" }.into()
                })
            },
            SignatureWrong,
        ),
        refused(
            "signed in lower case",
            FORMS,
            devices().form(|f| f.signed_method = f.method.to_lowercase()),
            SignatureWrong,
        ),
        refused(
            "signed for the other path",
            FORMS,
            {
                devices().form(|f| {
                    let path = f.path.clone();
                    f.path = if path == "/" { "/v2/index.php" } else { "/" }.into();
                    f.signature = Some(f.sign());
                    f.path = path;
                })
            },
            SignatureWrong,
        ),
        refused(
            "SHA-256 under the name of SHA-1",
            FORMS,
            {
                devices().form(|f| {
                    f.set("SignatureMethod", "HmacSHA256");
                    f.signature = Some(f.sign());
                    f.set("SignatureMethod", "HmacSHA1");
                })
            },
            SignatureWrong,
        ),
        refused(
            "SHA-1 under the name of SHA-256",
            FORMS,
            {
                devices().form(|f| {
                    f.signature = Some(f.sign());
                    f.set("SignatureMethod", "HmacSHA256");
                })
            },
            SignatureWrong,
        ),
        refused(
            "signed with encoded values",
            FORMS,
            {
                devices().with("alias", "a b").form(|f| {
                    let clear = f.fields.clone();
                    f.fields.iter_mut().for_each(|(_, value)| *value = value.replace(' ', "%20"));
                    f.signature = Some(f.sign());
                    f.fields = clear;
                })
            },
            SignatureWrong,
        ),
        refused(
            "names with _ signed as they are",
            V2,
            {
                devices().form(|f| {
                    f.set("instanceIds_0", "cpm-1");
                    f.signature = Some(signed_with_underscore(f));
                })
            },
            SignatureWrong,
        ),
    ];
    for (what, make) in [
        ("no base64", (|_| "not base64".to_owned()) as fn(String) -> String),
        ("without its padding", |s| s.trim_end_matches('=').to_owned()),
        ("cut short", |s| s[..8].to_owned()),
        ("twice", |s| s.repeat(2)),
        ("another byte", |s| format!("{}{}", if s.starts_with('A') { 'B' } else { 'A' }, &s[1..])),
        ("a space in front", |s| format!(" {s}")),
    ] {
        let ask = devices().form(move |f| f.signature = Some(make(f.sign())));
        cases.push(refused(format!("a signature {what}"), FORMS, ask, SignatureWrong));
    }
    cases.extend(what_is_covered());
    cases.extend(at_sign_rule());
    Section { title: "form signature", cases, stories: Vec::new() }
}

fn reversed() -> Ask {
    devices().sent(|m| {
        let turn = |form: &str| form.split('&').rev().collect::<Vec<_>>().join("&");
        match m.target.split_once('?') {
            Some((path, query)) => m.target = format!("{path}?{}", turn(query)),
            None => m.body = turn(std::str::from_utf8(&m.body).expect("text")).into_bytes(),
        }
    })
}

fn signed_with_underscore(form: &opencpm_tests::wire::Form) -> String {
    // `_` sorts behind `.`, so another name with the same letters stands in for it.
    let mut other = form.clone();
    other.fields.iter_mut().for_each(|(name, _)| *name = name.replace("Ids_", "Ids-"));
    other.sign()
}

/// Each of these changed on its way.
fn what_is_covered() -> Vec<Case> {
    let changes: [(&str, &str, &str); 9] = [
        ("the password", "abce1234", "abce1235"),
        ("the case of the password", "abce1234", "abcE1234"),
        ("a device", "cpm-never", "cpm-other"),
        ("the region", "ap-guangzhou", "ap-shanghai1"),
        ("the client's name", "SDK_A", "SDK_B"),
        ("the index of a device", "Ids.0", "Ids.1"),
        ("a name", "opUin", "opUim"),
        ("a value made empty", "=SDK_A", "="),
        ("a value made longer", "abce1234", "abce12345"),
    ];
    let make = |from: &'static str, to: &'static str| {
        reset()
            .with("instanceIds.0", "cpm-never")
            .with("opUin", "1")
            .common("Region", "ap-guangzhou")
            .common("RequestClient", "SDK_A")
            .sent(move |m| replace(m, from, to))
    };
    let mut cases: Vec<_> = changes
        .into_iter()
        .map(|(what, from, to)| {
            // `opUin` is a name of 2.0 alone.
            let ways = if from == "opUin" { V2 } else { FORMS };
            refused(format!("changed: {what}"), ways, make(from, to), SignatureWrong)
        })
        .collect();
    let added = || reset().with("instanceIds.0", "cpm-never");
    cases.push(refused(
        "added: a device, 2.0",
        V2,
        added().tail("&instanceIds.9=cpm-x"),
        SignatureWrong,
    ));
    cases.push(refused(
        "added: a device, v1",
        V1,
        added().tail("&InstanceIds.9=cpm-x"),
        SignatureWrong,
    ));
    cases.push(refused("added: an unknown name", FORMS, added().tail("&Foo=1"), SignatureWrong));
    cases.push(
        refused(
            "cut: a value with & is two",
            V2,
            {
                reset().with("instanceIds.0", "cpm-never").form(|f| {
                    f.set("passwd", "abce1234&zz=1");
                    f.encode = |text| text.replace('%', "%25").replace('+', "%2B");
                })
            },
            opencpm_domain::Condition::ParameterUnknown,
        )
        .hides("zz"),
    );
    cases
}

fn replace(message: &mut Message, from: &str, to: &str) {
    message.target = message.target.replace(from, to);
    let body = std::str::from_utf8(&message.body).expect("text");
    message.body = body.replace(from, to).into_bytes();
}

fn at_sign_rule() -> Vec<Case> {
    let at = || reset().with("passwd", "@bce1234");
    let left_out = || at().form(|f| f.unsigned.extend(["passwd", "Password"].map(str::to_owned)));
    vec![
        done("@ in front, fully signed", FORMS, at()),
        done("@ in front, left out of a 2.0 POST", &[Way::V2Post], left_out()),
        refused("@ in front, left out of a 2.0 GET", &[Way::V2Get], left_out(), SignatureWrong),
        refused("@ in front, left out of v1", V1, left_out(), SignatureWrong),
        refused(
            "another value left out",
            FORMS,
            reset().form(|f| f.unsigned.extend(["passwd", "Password"].map(str::to_owned))),
            SignatureWrong,
        ),
        refused(
            "@ inside, left out",
            &[Way::V2Post],
            reset().with("passwd", "a@ce1234").form(|f| f.unsigned.push("passwd".into())),
            SignatureWrong,
        ),
        done("two values with @, both left out", &[Way::V2Post], {
            at().with("opUin", "@me")
                .form(|f| f.unsigned.extend(["passwd", "opUin"].map(str::to_owned)))
        }),
        refused(
            "two values with @, one left out",
            &[Way::V2Post],
            at().with("opUin", "@me").form(|f| f.unsigned.push("passwd".into())),
            SignatureWrong,
        ),
        done("a filter with @, left out", &[Way::V2Post], {
            devices().with("alias", "@x").form(|f| f.unsigned.push("alias".into()))
        }),
    ]
}
