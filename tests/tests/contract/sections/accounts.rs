//! Keys, accounts and permissions (contract 2.6).

use opencpm_domain::Condition::*;

use serde_json::json;

use super::Section;
use crate::ask::{ALL, Ask, BOTH, FORMS, V2, V3, Way, ask, devices, log, reset, result};
use crate::case::{Case, Failure, Story, done, refused, shows};
use crate::target::Target;

pub(super) fn section() -> Section {
    let named = |id: &str| devices().common("SecretId", id);
    let mut cases = vec![
        refused("an unknown key", ALL, named("AKIDNOBODY0000000000000000"), SecretIdUnknown),
        refused("a text that can be no key's", ALL, named("no key at all"), SecretIdUnknown),
        refused("a key's id beyond ASCII", FORMS, named("клю́ч"), SecretIdUnknown),
        refused("a key's id of 1,000 characters", ALL, named(&"A".repeat(1000)), SecretIdUnknown),
        refused("a disabled key", ALL, devices().by("disabled"), SecretIdUnknown),
        refused("a disabled key that resets", ALL, reset().by("disabled"), SecretIdUnknown),
        refused("a key of a blocked account", ALL, devices().by("blocked"), AccountBlocked),
        refused(
            "a key of a blocked account that resets",
            ALL,
            reset().by("blocked"),
            AccountBlocked,
        ),
        done("a key with a list of actions", ALL, devices().by("reader")),
        done("the list has the first of two names", V2, {
            ask("DescribeDeviceList", "DescribeDevices").by("reader")
        }),
        refused("a reset is not on the list", ALL, reset().by("reader"), ActionNotAllowed),
        refused("a status is not on the list", ALL, result().by("reader"), ActionNotAllowed),
        refused("the log is not on the list", ALL, log().by("reader"), ActionNotAllowed),
        refused(
            "what is not allowed is not decoded",
            ALL,
            reset().by("reader").with("passwd", "short"),
            ActionNotAllowed,
        ),
    ];
    cases.extend(temporary());
    cases.extend(own_devices());
    cases.extend(administration());
    let stories = vec![
        Story { name: "2.0: what is beyond a quota", run: |t| beyond_quota(t, V2) },
        Story { name: "3.0: what is beyond a quota", run: |t| beyond_quota(t, V3) },
        Story {
            name: "2.0: maintenance refuses changes and lets reads work",
            run: |t| maintenance(t, V2),
        },
        Story {
            name: "3.0: maintenance refuses changes and lets reads work",
            run: |t| maintenance(t, V3),
        },
    ];
    Section { title: "keys and accounts", cases, stories }
}

/// A temporary key needs its token.
fn temporary() -> Vec<Case> {
    let by = |ask: Ask| ask.by("temporary");
    vec![
        done("a temporary key with its token", ALL, by(devices())),
        done("a temporary key with its token resets", BOTH, by(reset())),
        refused(
            "a temporary key without a token",
            ALL,
            by(devices()).without_common("Token"),
            TokenWrong,
        ),
        refused(
            "a temporary key with an empty token",
            ALL,
            by(devices()).common("Token", ""),
            TokenWrong,
        ),
        refused(
            "a temporary key with another token",
            ALL,
            by(devices()).common("Token", "tmp-token-2"),
            TokenWrong,
        ),
        refused("a reset without a token", ALL, by(reset()).without_common("Token"), TokenWrong),
        refused(
            "a token that was changed on its way",
            FORMS,
            {
                by(devices()).form(|f| {
                    f.signature = Some(f.sign());
                    f.set("Token", "tmp-token-2");
                })
            },
            SignatureWrong,
        ),
    ]
}

/// Keys that have some devices of their account only (contract 7.2).
fn own_devices() -> Vec<Case> {
    let of = |key, id: &str| reset().by(key).with("instanceIds.0", id);
    let mut cases = Vec::new();
    for (key, own, what) in [("scoped", "<never>", "by id"), ("tagged", "<tagged>", "by tag")] {
        let ask = of(key, own);
        cases.push(refused(
            format!("{what}: one of its own is looked at"),
            ALL,
            ask,
            AgentNotAlive,
        ));
        let ask = of(key, "<offline>");
        cases.push(
            refused(format!("{what}: not one of its own"), ALL, ask, DeviceNotAllowed)
                .says("<offline>"),
        );
        let ask = of(key, own).with("instanceIds.1", "<offline>");
        cases.push(
            refused(format!("{what}: its own and another"), ALL, ask, DeviceNotAllowed)
                .says("<offline>"),
        );
        let ask = of(key, "<offline>").with("instanceIds.1", "cpm-nobody");
        cases.push(
            refused(format!("{what}: unknown comes first"), ALL, ask, NotFound).says("cpm-nobody"),
        );
        let ask = of(key, "<device-status-14>");
        cases.push(refused(
            format!("{what}: it comes before the state"),
            ALL,
            ask,
            DeviceNotAllowed,
        ));
        let ask = log().by(key).with("instanceId", "<offline>");
        cases.push(refused(format!("{what}: the log of another"), ALL, ask, DeviceNotAllowed));
        cases.push(done(
            format!("{what}: the log of its own"),
            ALL,
            log().by(key).with("instanceId", own),
        ));
        let list = devices().by(key);
        cases.push(shows(
            format!("{what}: the list of 2.0 has its own"),
            V2,
            list.clone(),
            &[("/totalNum", json!(1)), ("/deviceList/0/instanceId", json!(own))],
        ));
        cases.push(shows(
            format!("{what}: the list of 3.0 has its own"),
            V3,
            list,
            &[("/TotalCount", json!(1)), ("/DeviceInfoSet/0/InstanceId", json!(own))],
        ));
    }
    cases
}

/// The key may make one request a minute: of two in a row the second is too many.
fn beyond_quota(target: &Target, ways: &[Way]) -> Result<(), Failure> {
    for way in ways {
        for ask in [devices(), reset().with("instanceIds.0", "cpm-nobody")] {
            let ask = ask.by("limited");
            if target.refused(&ask, *way, QuotaExceeded).is_err() {
                target.refused(&ask, *way, QuotaExceeded)?;
            }
        }
    }
    Ok(())
}

fn maintenance(target: &Target, ways: &[Way]) -> Result<(), Failure> {
    let switch = |on: &str| {
        let ask = ask("ModifyMaintenance", "").by("admin").with("enabled", on);
        target.done(&ask, Way::V2Post)
    };
    switch("1")?;
    let refused = ways.iter().try_for_each(|way| {
        target.refused(&reset(), *way, Maintenance)?;
        // It comes before the parameters are looked at.
        target.refused(&reset().with("passwd", "short"), *way, Maintenance)?;
        [devices(), log(), result()].iter().try_for_each(|read| target.done(read, *way).map(|_| ()))
    });
    switch("0")?;
    refused?;
    ways.iter().try_for_each(|way| target.done(&reset(), *way).map(|_| ()))
}

/// Ours, and so left out at a server without such a key.
fn administration() -> Vec<Case> {
    let make =
        || ask("CreateAccount", "CreateAccount").with("appId", "<administered>").with("name", "x");
    let signed = || make().tc3(|tc3| tc3.signed.push("x-tc-action".to_owned()));
    let keys = || ask("DescribeApiKeys", "DescribeApiKeys").with("appId", "<administered>");
    vec![
        refused("an ordinary key makes no account", ALL, signed(), ActionNotAllowed),
        refused("an ordinary key lists no keys", ALL, keys(), ActionNotAllowed),
        done("an administrator lists keys", ALL, keys().by("admin")),
        done("an administrator lists accounts", V2, {
            ask("DescribeAccounts", "DescribeAccounts").by("admin")
        }),
        refused("an account that exists", V2, make().by("admin"), ParameterInvalid),
        refused(
            "a change whose action is not signed",
            &V3[2..],
            make().by("admin"),
            SignatureWrong,
        ),
        refused(
            "a key for an account that is not there",
            V2,
            {
                ask("CreateApiKey", "CreateApiKey").by("admin").with("appId", "77").with("uin", "1")
            },
            NotFound,
        ),
    ]
}
