//! The test vectors of contract 2.7, as they would arrive.

use crate::ask::{get_from, post_to};
use crate::world::World;
use opencpm_api::Settings;

const RESET: &str =
    "Action=ResetDevicePasswd&Nonce=11886&Region=gz&SecretId=AKIDEXAMPLE0001&Timestamp=1700000000";
const RESULT: &str = "Action=DescriptionOperationResult&Nonce=11886&Region=gz&SecretId=AKIDEXAMPLE0001&Timestamp=1700000000";
const QCLOUD: &str = "bm.api.qcloud.com";
const PATH: &str = "/v2/index.php";

fn signature(base64: &str) -> String {
    format!("&Signature={}", base64.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D"))
}

#[tokio::test]
async fn signed_gets_are_done() {
    let world = World::new().await;
    let twelve: String = (0..12).map(|n| format!("&instanceIds.{n}=cpm-{n:08}")).collect();
    let cases = [
        (
            "A",
            "bm.api.cloud.tencent.com",
            format!(
                "{RESET}&instanceIds.1=cpm-34xs43xs&instanceIds.2=cpm-3xwssdfx&passwd=abce1234"
            ),
            "t8d+HygwOw/tLw2/g/MOcVb8ZRo=",
        ),
        (
            "C",
            QCLOUD,
            format!(
                "{RESET}&instanceIds_0=cpm-34xs43xs&instanceIds_1=cpm-3xwssdfx&passwd=abce1234"
            ),
            "vI9mhr9RwZZXOGViTqn2ExsfQRE=",
        ),
        ("F", QCLOUD, format!("{RESET}{twelve}&passwd=abce1234"), "1rS7gdia1xJWFJVUOrfcUe+eOrc="),
        (
            "H",
            QCLOUD,
            format!(
                "{}&alias=%E7%BD%91%E5%85%B3%201&limit=20&offset=0",
                RESET.replace("ResetDevicePasswd", "DescribeDevice")
            ),
            "KrkU8Y9TkcNJO9Wax+rsXxEvxqU=",
        ),
        (
            "I",
            "127.0.0.1:8443",
            format!("{RESULT}&SignatureMethod=HmacSHA256&taskId=101"),
            "g2G6bAL6WbF2yp6k6wf+df/bRVSYxhRKyXou+Ab2YEM=",
        ),
    ];
    for (row, host, query, base64) in cases {
        let reply = world.send(get_from(host, &(query + &signature(base64)))).await;
        assert_eq!(reply.code(), 0, "row {row}: {reply:?}");
    }
    let order = world.service.asked.all().into_iter().find(|a| a.contains("00000011")).unwrap();
    assert!(order.contains("cpm-00000001,cpm-00000002"), "by number, not by text: {order}");
}

#[tokio::test]
async fn signed_posts_are_done() {
    let world = World::new().await;
    let at = format!("{RESET}&instanceIds.0=cpm-34xs43xs&passwd=%40bce1234");
    let symbols = "Ab1%21%40%23%24%25%5E%26%2A%28%29";
    let cases = [
        (
            "B",
            "127.0.0.1:8443",
            format!(
                "{RESET}&SignatureMethod=HmacSHA256&instanceIds.0=cpm-34xs43xs&passwd={symbols}"
            ),
            "u/4N3HcdI78wFE8A6PH7mTGr2RgLQgGgvhQMZKcbTVU=",
        ),
        ("D", QCLOUD, at.clone(), "Ky5a3EI17AtQRuov4LMadoaXCYo="),
        ("E", QCLOUD, at, "Edn0xxHXyeBeHoDMvZiiIH6qpXs="),
    ];
    for (row, host, body, base64) in cases {
        let reply = world.send(post_to(host, PATH, &(body + &signature(base64)))).await;
        assert_eq!(reply.code(), 0, "row {row}: {reply:?}");
    }
    let asked = world.service.asked.all();
    assert_eq!(asked[0], "reset cpm-34xs43xs Ab1!@#$%^&*()");
    assert_eq!(asked[1], "reset cpm-34xs43xs @bce1234");
}

#[tokio::test]
async fn a_token_is_signed_and_then_refused_with_a_permanent_key() {
    let world = World::new().await;
    let query = format!("{RESULT}&Token=tmp-token-1&taskId=101");
    let row_g = world
        .send(get_from(QCLOUD, &(query.clone() + &signature("DWjWiwB5RG8BmA5KwtTIXAiVS1M="))))
        .await;
    row_g.assert_refused(4105);
    let tampered = query.replace("tmp-token-1", "tmp-token-2");
    world
        .send(get_from(QCLOUD, &(tampered + &signature("DWjWiwB5RG8BmA5KwtTIXAiVS1M="))))
        .await
        .assert_refused(4100);
}

#[tokio::test]
async fn the_at_sign_rule_is_for_posts_and_can_be_turned_off() {
    let body = format!(
        "{RESET}&instanceIds.0=cpm-34xs43xs&passwd=%40bce1234{}",
        signature("Ky5a3EI17AtQRuov4LMadoaXCYo=")
    );
    let strict = Settings { at_sign_rule: false, ..Settings::default() };
    let world = World::with(strict).await;
    world.send(post_to(QCLOUD, PATH, &body)).await.assert_refused(4100);
    let world = World::new().await;
    world.send(get_from(QCLOUD, &body)).await.assert_refused(4100);
}
