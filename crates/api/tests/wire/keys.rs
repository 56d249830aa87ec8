//! What a key may not do, in API 3.0 (contract 7.2): the same rules under that dialect's names.

use std::sync::atomic::Ordering;

use crate::ask::Ask;
use crate::ask3::Ask3;
use crate::world::{SECRET_KEY, World};
use serde_json::json;

fn by(secret_id: &str, ask: Ask3) -> Ask3 {
    Ask3 { secret_id: secret_id.to_owned(), ..ask }
}

fn reset_of(instance: &str) -> Ask3 {
    let body = json!({"InstanceIds": [instance], "Password": "abce1234"});
    Ask3::new("ResetDevicePassword", &body.to_string())
}

#[tokio::test]
async fn each_refusal_of_a_key_has_its_name() {
    let world = World::new().await;
    let verify = Ask3::new("VerifyTask", r#"{"TaskId":101}"#);
    let cases = [
        (by("AKIDREADER", Ask3::reset("abce1234")), "AuthFailure.UnauthorizedOperation"),
        (reset_of("cpm-refused-DeviceNotAllowed"), "UnauthorizedOperation"),
        (by("AKIDBLOCKED", Ask3::new("DescribeDevices", "")), "UnauthorizedOperation"),
        (verify, "RequestLimitExceeded"),
    ];
    for (ask, code) in cases {
        world.send(ask.raw()).await.assert_refused_v3(code);
    }
    world.service.maintenance.store(true, Ordering::Relaxed);
    world.send(reset_of("cpm-1").raw()).await.assert_refused_v3("ServiceUnavailable");
    world.send(Ask3::new("DescribeDevices", "").raw()).await.done_v3();
    let told = world.send(Ask3::new("DescribeMaintenance", "").raw()).await.done_v3();
    let begun =
        json!({"Enabled": true, "Message": "until noon", "StartTime": "2023-11-14 22:13:20"});
    assert_eq!(told, begun);
}

#[tokio::test]
async fn a_temporary_key_needs_its_token_however_it_signs() {
    let world = World::new().await;
    let ask = || by("AKIDTEMPORARY", Ask3::new("DescribeDevices", ""));
    world.send(ask().raw()).await.assert_refused_v3("AuthFailure.TokenFailure");
    let wrong = ask().with("X-TC-Token", "tmp-token-2");
    world.send(wrong.raw()).await.assert_refused_v3("AuthFailure.TokenFailure");
    world.send(ask().with("X-TC-Token", "tmp-token-1").raw()).await.done_v3();
    let form = Ask::new("DescribeDevices").with("Version", "2018-04-23");
    let form = form.signed_by("AKIDTEMPORARY", SECRET_KEY);
    world.send(form.v1_post()).await.assert_refused_v3("AuthFailure.TokenFailure");
    world.send(form.with("Token", "tmp-token-1").v1_get()).await.done_v3();
}

/// The SDKs' signature leaves the action out: nothing that was caught may be made into a key.
#[tokio::test]
async fn a_key_is_made_only_where_the_signature_covers_the_action() {
    let world = World::new().await;
    let body = r#"{"ValidSeconds":3600,"Actions":["DescribeDevice"]}"#;
    let ask = Ask3::new("CreateTemporaryKey", body);
    world.send(ask.raw()).await.assert_refused_v3("AuthFailure.SignatureFailure");
    let made = world.send(ask.signing_action().raw()).await.done_v3();
    assert_eq!(
        made,
        json!({"SecretId": "AKIDNEW", "SecretKey": "new-secret", "Token": "new-token",
            "ExpireTime": "2023-11-14 23:13:20"})
    );
    let keys = by("AKIDADMIN", Ask3::new("DescribeApiKeys", ""));
    let keys = world.send(keys.raw()).await.done_v3();
    let tags = json!([{"TagKey": "team", "TagValues": ["db"]}]);
    assert_eq!(keys["KeyList"][0]["Devices"], json!({"InstanceIds": ["cpm-1"], "Tags": tags}));
}
