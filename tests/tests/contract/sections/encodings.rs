//! How a form is encoded, and names that are given twice (contract 2.2, 3).

use opencpm_domain::Condition::Malformed;
use opencpm_tests::wire::escaped;
use serde_json::json;

use super::Section;
use crate::ask::{ALL, Ask, ENCODED, FORMS, V2, V3, Way, devices, reset};
use crate::case::{Case, done, refused, shows};

pub(super) fn section() -> Section {
    let lister = |alias: &str| devices().by("lister").with("alias", alias);
    let one_v2 = [("/totalNum", json!(1))];
    let one_v3 = [("/TotalCount", json!(1))];
    let spaced = || devices().with("alias", "no such name");
    let mut cases = vec![
        shows("UTF-8 in 2.0", V2, lister("网关"), &one_v2),
        shows("UTF-8 in 3.0", V3, lister("网关"), &one_v3),
        done("every character as %XX", FORMS, spaced().form(|f| f.encode = everything)),
        done("digits of %xx in lower case", FORMS, lister("网关").form(|f| f.encode = lower)),
        done("a space as +", FORMS, spaced().form(|f| f.encode = with_plus)),
        done("a space as %20", FORMS, spaced()),
        done("a plus sign as %2B", ALL, devices().with("alias", "a+b")),
        done("an ampersand and an equals sign in a value", ALL, devices().with("alias", "a&b=c")),
        done("a percent sign as %25", ALL, devices().with("alias", "100%41")),
        done("nothing is trimmed", ALL, devices().with("alias", "  a  ")),
        done("a NUL", ALL, devices().with("alias", "a\0b")),
        done("empty pieces between separators", FORMS, devices().tail("&&&")),
        done("unreserved characters sent plain", FORMS, devices().with("alias", "-._~")),
        done("names with _ for .", FORMS, {
            devices().form(|f| {
                f.set(if f.path == "/" { "InstanceIds_0" } else { "instanceIds_0" }, "cpm-1")
            })
        }),
    ];
    for (what, tail) in [
        ("a percent sign at the end", "&alias=%"),
        ("a percent sign and one digit", "&alias=%4"),
        ("a percent sign and letters", "&alias=%GG"),
        ("a percent sign twice", "&alias=%%41"),
        ("a broken name", "&%zz=1"),
        ("bytes that are no UTF-8", "&alias=%FF%FE"),
        ("UTF-8 cut short", "&alias=%E7%BD"),
        ("UTF-8 that is too long", "&alias=%C0%80"),
        ("half of a UTF-16 pair", "&alias=%ED%A0%80"),
        ("a name that is no UTF-8", "&%FF=1"),
        ("a value without a name", "&=x"),
    ] {
        cases.push(refused(what, ENCODED, devices().tail(tail), Malformed));
    }
    cases.extend(twice());
    Section { title: "encodings", cases, stories: Vec::new() }
}

/// Refused before anything is verified.
fn twice() -> Vec<Case> {
    let of = |ask: Ask, tail: &'static str| ask.tail(tail);
    let limited = || devices().with("limit", "1");
    let listed = || reset().with("passwd", "secret!1");
    let mut cases = vec![
        refused("limit twice in 2.0", V2, of(limited(), "&limit=2"), Malformed),
        refused("limit twice with the same value", V2, of(limited(), "&limit=1"), Malformed),
        refused("Limit twice in 3.0", &V3[..3], of(limited(), "&Limit=2"), Malformed),
        refused("a name twice by another encoding", V2, of(limited(), "&%6Cimit=2"), Malformed),
        refused("an index twice", V2, of(listed(), "&instanceIds.0=cpm-2"), Malformed),
        refused("an index twice, once with _", V2, of(listed(), "&instanceIds_0=cpm-2"), Malformed),
        refused("an index of 3.0 twice", &V3[..3], of(listed(), "&InstanceIds_0=cpm-2"), Malformed),
        refused(
            "passwd twice, and it is not told",
            V2,
            of(listed(), "&passwd=other!12"),
            Malformed,
        )
        .hides("secret!1")
        .hides("other!12"),
        refused(
            "Password twice, and it is not told",
            &V3[..3],
            of(listed(), "&Password=other!12"),
            Malformed,
        )
        .hides("secret!1")
        .hides("other!12"),
    ];
    for (name, tail) in [
        ("Action", "&Action=DescribeDevice"),
        ("Nonce", "&Nonce=1"),
        ("SecretId", "&SecretId=AKIDOTHER"),
        ("Timestamp", "&Timestamp=1"),
        ("Signature", "&Signature=AAAA"),
    ] {
        cases.push(refused(format!("{name} twice"), FORMS, of(devices(), tail), Malformed));
    }
    cases.push(refused(
        "Region twice",
        &[Way::V2Post],
        devices().common("Region", "gz").tail("&Region=sh"),
        Malformed,
    ));
    cases
}

fn everything(text: &str) -> String {
    text.bytes().map(|b| format!("%{b:02X}")).collect()
}

fn lower(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    text.bytes()
        .map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02x}") })
        .collect()
}

fn with_plus(text: &str) -> String {
    escaped(text).replace("%20", "+")
}
