//! The common parameters: presence and form (contract 2.1, 2.3).

use opencpm_domain::Condition::*;

use super::Section;
use crate::ask::{ALL, Ask, FORMS, TC3, V1, V2, V3, ask, devices};
use crate::case::{Case, done, refused};

pub(super) fn section() -> Section {
    let mut cases = presence();
    cases.extend(numbers());
    cases.extend(optional());
    cases.extend(actions());
    Section { title: "common parameters", cases, stories: Vec::new() }
}

fn presence() -> Vec<Case> {
    let mut cases = Vec::new();
    for name in ["Action", "SecretId", "Timestamp", "Nonce", "Signature"] {
        let absent = devices().without_common(name);
        cases.push(refused(format!("no {name}"), FORMS, absent, CommonParameterMissing));
    }
    for name in ["Action", "SecretId", "Timestamp", "Nonce"] {
        let empty = devices().common(name, "");
        cases.push(refused(format!("an empty {name}"), FORMS, empty, CommonParameterMissing));
    }
    for name in ["Action", "Version", "Timestamp"] {
        let absent = devices().without_common(name);
        cases.push(refused(format!("no X-TC-{name}"), TC3, absent, CommonParameterMissing));
        let empty = devices().common(name, "");
        cases.push(refused(format!("an empty X-TC-{name}"), TC3, empty, CommonParameterMissing));
    }
    let absent = devices().without_common("Version");
    cases.push(refused("v1 without Version", V1, absent, CommonParameterMissing));
    cases
}

fn numbers() -> Vec<Case> {
    let mut cases = Vec::new();
    for text in [
        "now",
        "-1700000000",
        "+1700000000",
        "1700000000.5",
        "0x6553f100",
        "1e9",
        "18446744073709551616",
    ] {
        let ask = devices().common("Timestamp", text);
        cases.push(refused(format!("Timestamp {text}"), ALL, ask, Malformed));
    }
    for text in [
        " 1",
        "1 ",
        "-1",
        "+1",
        "1.0",
        "0x10",
        "abc",
        "１",
        "18446744073709551616",
        "000000000000000000001",
    ] {
        let ask = devices().common("Nonce", text);
        cases.push(refused(format!("Nonce {text:?}"), FORMS, ask, Malformed));
    }
    for text in
        ["0", "1", "65535", "9223372036854775807", "18446744073709551615", "00000000000000000001"]
    {
        let ask = devices().common("Nonce", text);
        cases.push(done(format!("Nonce {text}"), FORMS, ask));
    }
    cases
}

fn optional() -> Vec<Case> {
    let mut cases = vec![
        done("Version is ignored in 2.0", V2, devices().common("Version", "2016-01-01")),
        refused("another Version", V3, devices().common("Version", "2017-03-12"), WrongVersion),
        refused(
            "a Version in another form",
            V3,
            devices().common("Version", "20180423"),
            WrongVersion,
        ),
        done("a method that is not named", FORMS, devices()),
        done("HmacSHA1", FORMS, devices().common("SignatureMethod", "HmacSHA1")),
        done("HmacSHA256", FORMS, devices().common("SignatureMethod", "HmacSHA256")),
        done("another method means SHA-1", FORMS, devices().common("SignatureMethod", "HmacMD5")),
        done(
            "a method in lower case means SHA-1",
            FORMS,
            devices().common("SignatureMethod", "hmacsha256"),
        ),
        done("RequestClient", ALL, devices().common("RequestClient", "SDK_PYTHON_2.0.15")),
        done(
            "a client with a strange name",
            FORMS,
            devices().common("RequestClient", "\0<script>%"),
        ),
        done("RequestSource", FORMS, devices().common("RequestSource", "qcloudcli_1.9.20")),
        done("an unknown name in upper case, 2.0", V2, devices().with("Foo", "bar")),
        refused(
            "an unknown name in upper case, 3.0",
            V3,
            devices().with("Foo", "bar"),
            ParameterUnknown,
        ),
        refused(
            "an unknown name in lower case, 2.0",
            V2,
            devices().with("foo", "bar"),
            ParameterUnknown,
        ),
        refused(
            "an unknown name in lower case, v1",
            V1,
            devices().form(|f| f.set("foo", "bar")),
            ParameterUnknown,
        ),
        refused(
            "a token with a permanent key",
            ALL,
            devices().common("Token", "tmp-token-1"),
            TokenWrong,
        ),
    ];
    for region in ["gz", "sh", "bj", "ap-guangzhou", "ap-chongqing", "moon", ""] {
        cases.push(done(format!("Region {region:?}"), ALL, devices().common("Region", region)));
    }
    for language in ["zh-CN", "en-US", "tlh"] {
        cases.push(done(
            format!("Language {language}"),
            V3,
            devices().common("Language", language),
        ));
    }
    cases
}

fn actions() -> Vec<Case> {
    let named = |name: &'static str| ask(name, name);
    let mut cases = vec![
        done("the seed's name of the device list", V2, named("DescribeDeviceList")),
        refused("a name of 3.0 in 2.0", V2, named("ResetDevicePassword"), UnknownAction),
        refused("a name of 2.0 in 3.0", V3, named("ResetDevicePasswd"), UnknownAction),
        refused(
            "an action that 3.0 does not have",
            V3,
            named("DescribeBmAgentStatus"),
            UnknownAction,
        ),
        refused(
            "the unknown action comes before the version",
            V3,
            named("NoSuchAction").common("Version", "2017-03-12"),
            UnknownAction,
        ),
    ];
    for name in ["describeDevice", "DESCRIBEDEVICE", "DescribeDevice ", "constructor", "x"] {
        cases.push(refused(format!("Action {name:?}"), FORMS, named(name), UnknownAction));
    }
    let long: Ask = devices().common("Action", "A".repeat(4000).as_str());
    cases.push(refused("an Action of 4,000 characters", ALL, long, UnknownAction));
    let beyond_ascii = devices().common("Action", "Décrire");
    cases.push(refused("an Action beyond ASCII", FORMS, beyond_ascii.clone(), UnknownAction));
    cases.push(refused("an X-TC-Action beyond ASCII", TC3, beyond_ascii, Malformed));
    cases
}
