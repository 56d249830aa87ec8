//! TC3-HMAC-SHA256: the header, what is signed, and what is not (contract 2.3).

use opencpm_domain::Condition::*;
use opencpm_tests::wire::Tc3;

use super::Section;
use crate::ask::{Ask, JSON, TC3, V3, Way, devices, reset};
use crate::case::{Case, done, refused};

pub(super) fn section() -> Section {
    let mut cases = header();
    cases.extend(signed_headers());
    cases.extend(what_is_covered());
    cases.extend(unsigned_payload());
    Section { title: "TC3 signature", cases, stories: Vec::new() }
}

/// Makes `Authorization` of credential, signed headers and signature.
type Header = fn(&str, &str, &str) -> String;

fn header() -> Vec<Case> {
    let as_is = |text: &'static str| devices().sent(move |m| m.set("Authorization", text));
    let mut cases = Vec::new();
    for text in [
        "SKIP",
        "skip",
        "Bearer abc",
        "Basic dXNlcjpwYXNz",
        "TC3-HMAC-SHA256",
        "TC3-HMAC-SHA256 ",
        "TC3-HMAC-SHA256 Credential=a/2018-04-23/bm/tc3_request",
        "TC3-HMAC-SHA1 Credential=a/2018-04-23/bm/tc3_request, SignedHeaders=content-type;host, Signature=00",
    ] {
        cases.push(refused(
            format!("Authorization {text:?}"),
            JSON,
            as_is(text),
            AuthorizationUnreadable,
        ));
    }
    let made = |make: Header| devices().tc3(move |t| t.authorization = make);
    let broken: [(&str, Header); 8] = [
        ("no credential", |_, h, s| format!("TC3-HMAC-SHA256 SignedHeaders={h}, Signature={s}")),
        ("no signed headers", |c, _, s| format!("TC3-HMAC-SHA256 Credential={c}, Signature={s}")),
        ("no signature", |c, h, _| format!("TC3-HMAC-SHA256 Credential={c}, SignedHeaders={h}")),
        ("an empty signature", |c, h, _| usual(c, h, "")),
        ("63 digits", |c, h, s| usual(c, h, &s[1..])),
        ("65 digits", |c, h, s| usual(c, h, &format!("{s}0"))),
        ("a digit that is none", |c, h, s| usual(c, h, &format!("g{}", &s[1..]))),
        ("a scope of two parts", |_, h, s| usual("id/tc3_request", h, s)),
    ];
    for (what, make) in broken {
        cases.push(refused(what, TC3, made(make), AuthorizationUnreadable));
    }
    let scope = |end: &'static str| devices().tc3(move |t| t.terminator = end.to_owned());
    cases.push(refused(
        "a scope that ends otherwise",
        TC3,
        scope("tc4_request"),
        AuthorizationUnreadable,
    ));
    cases.push(refused(
        "a scope of five parts",
        TC3,
        scope("x/tc3_request"),
        AuthorizationUnreadable,
    ));
    cases.push(done(
        "no spaces behind the commas",
        TC3,
        made(|c, h, s| format!("TC3-HMAC-SHA256 Credential={c},SignedHeaders={h},Signature={s}")),
    ));
    cases
}

fn usual(credential: &str, signed: &str, signature: &str) -> String {
    format!(
        "TC3-HMAC-SHA256 Credential={credential}, SignedHeaders={signed}, Signature={signature}"
    )
}

fn signed_headers() -> Vec<Case> {
    let list = |names: &'static [&'static str]| {
        devices().tc3(move |t| t.signed = names.iter().map(|name| (*name).to_owned()).collect())
    };
    let verbatim = |ask: Ask| ask.tc3(|t| t.lower = false);
    let with_action = || list(&["content-type", "host", "x-tc-action"]);
    vec![
        done("the action too", TC3, with_action()),
        done("the action too, its case kept", TC3, verbatim(with_action())),
        done("action, time and version", TC3, {
            list(&["content-type", "host", "x-tc-action", "x-tc-timestamp", "x-tc-version"])
        }),
        done("listed in another order", TC3, list(&["x-tc-action", "host", "content-type"])),
        done("a header of somebody's own", TC3, {
            list(&["content-type", "host", "x-own"]).tc3(|t| t.set("X-Own", "A b"))
        }),
        done("spaces around a value", TC3, {
            list(&["content-type", "host", "x-own"])
                .tc3(|t| t.set("X-Own", "a"))
                .sent(|m| m.set("X-Own", "   a   "))
        }),
        done("a type with its charset", JSON, with_type("application/json; charset=utf-8")),
        done("a type in upper case, signed in lower case", JSON, with_type("application/JSON")),
        done(
            "a type in upper case, signed as it is",
            JSON,
            verbatim(with_type("application/JSON")),
        ),
        refused(
            "a header that is not there",
            TC3,
            list(&["content-type", "host", "x-gone"]),
            SignatureWrong,
        ),
        refused("host alone", TC3, list(&["host"]), AuthorizationUnreadable),
        refused("content-type alone", TC3, list(&["content-type"]), AuthorizationUnreadable),
        refused("nothing", TC3, list(&[]), AuthorizationUnreadable),
    ]
}

fn with_type(kind: &'static str) -> Ask {
    devices().tc3(move |t| t.set("Content-Type", kind))
}

/// Each of these changed on its way. Action, version and region are not covered: see the section
/// on requests that come again.
fn what_is_covered() -> Vec<Case> {
    let wrong = |what: &str, change: fn(&mut Tc3)| {
        let ask = reset().with("instanceIds.0", "cpm-never").tc3(change);
        refused(what, TC3, ask, SignatureWrong)
    };
    vec![
        wrong("another key's secret", |t| t.secret_key.push('x')),
        wrong("yesterday's date", |t| t.date = "2018-04-23".into()),
        wrong("a date in another form", |t| t.date = t.date.replace('-', "")),
        wrong("no date", |t| t.date.clear()),
        wrong("another password", |t| t.sent = Some(t.payload.replace("1234", "1235"))),
        wrong("another device", |t| t.sent = Some(t.payload.replace("never", "other"))),
        wrong("nothing sent", |t| t.sent = Some(String::new())),
        wrong("a space more", |t| t.sent = Some(t.payload.replace("cpm-", "cpm-%20"))),
        wrong("no payload signed", |t| t.sent = Some(std::mem::take(&mut t.payload))),
        refused("another second", TC3, moved(), SignatureWrong),
        refused(
            "another type than signed",
            TC3,
            devices().sent(|m| m.set("Content-Type", "application/json; charset=latin1")),
            SignatureWrong,
        ),
        refused(
            "another value of a signed header",
            TC3,
            {
                devices()
                    .tc3(|t| t.signed.push("x-tc-action".into()))
                    .sent(|m| m.set("X-TC-Action", "DescribeDeviceOperationLog"))
            },
            SignatureWrong,
        ),
        refused(
            "fields of the query in another order",
            &[Way::Tc3Get],
            {
                devices().with("limit", "1").with("offset", "0").sent(|m| {
                    m.target = "/?Offset=0&Limit=1".to_owned();
                })
            },
            SignatureWrong,
        ),
        refused(
            "the query encoded differently",
            &[Way::Tc3Get],
            devices().with("alias", "a b").sent(|m| m.target = m.target.replace("%20", "+")),
            SignatureWrong,
        ),
        refused(
            "a GET's signature on a POST",
            JSON,
            {
                devices()
                    .tc3(|t| {
                        t.method = "GET".into();
                        t.payload.clear();
                    })
                    .sent(|m| m.method = "POST".into())
            },
            SignatureWrong,
        ),
        refused(
            "the password is not told",
            V3,
            reset().tc3(|t| t.secret_key.push('x')).form(|f| f.secret_key.push('x')),
            SignatureWrong,
        )
        .hides("abce1234"),
    ]
}

fn moved() -> Ask {
    devices()
        .tc3(|t| {
            t.authorization = usual;
            t.set("X-TC-Moved", "1");
        })
        .sent(|m| {
            let at = m.headers.iter().find(|(name, _)| name == "X-TC-Timestamp").expect("a time");
            let at = at.1.parse::<u64>().expect("a number") - 1;
            m.set("X-TC-Timestamp", &at.to_string());
        })
}

fn unsigned_payload() -> Vec<Case> {
    let unsigned = |ask: Ask| ask.tc3(|t| t.set("X-TC-Content-SHA256", "UNSIGNED-PAYLOAD"));
    vec![
        done("UNSIGNED-PAYLOAD", TC3, unsigned(devices())),
        done("UNSIGNED-PAYLOAD and another body", JSON, {
            unsigned(devices()).tc3(|t| t.sent = Some(r#"{"Limit":1}"#.into()))
        }),
        refused(
            "UNSIGNED-PAYLOAD covers the query of a GET",
            &[Way::Tc3Get],
            unsigned(devices().with("limit", "1")).tc3(|t| t.sent = Some("Limit=2".into())),
            SignatureWrong,
        ),
        refused(
            "UNSIGNED-PAYLOAD that was not signed",
            JSON,
            devices().sent(|m| m.set("X-TC-Content-SHA256", "UNSIGNED-PAYLOAD")),
            SignatureWrong,
        ),
        refused(
            "signed as unsigned, and not said",
            JSON,
            unsigned(devices()).sent(|m| m.remove("X-TC-Content-SHA256")),
            SignatureWrong,
        ),
    ]
}
