//! API 3.0 as a client meets it (contract 2.3, 2.6, 3, 4, 7).

use serde_json::json;

use crate::ask::Ask;
use crate::ask3::Ask3;
use crate::world::World;
use opencpm_api::Settings;

#[tokio::test]
async fn every_answer_has_a_request_id_of_its_own() {
    let world = World::new().await;
    let first = world.send(Ask3::reset("abce1234").raw()).await.request_id();
    let second = world.send(Ask3::reset("abce1234").raw()).await.request_id();
    let refused = world.send(Ask3::reset("short").raw()).await.request_id();
    assert!(first != second && second != refused);
}

#[tokio::test]
async fn answers_have_the_fields_of_the_contract() {
    let world = World::new().await;
    let done = async |ask: Ask3| world.send(ask.raw()).await.done_v3();
    assert_eq!(done(Ask3::reset("abce1234")).await, json!({"TaskId": 101}));
    let result = done(Ask3::new("DescribeOperationResult", r#"{"TaskId":101}"#)).await;
    let devices = [("cpm-1", 1), ("cpm-2", 2), ("cpm-3", 4)];
    let devices = devices.map(|(id, status)| json!({"InstanceId": id, "TaskStatus": status}));
    assert_eq!(result, json!({"TaskStatus": 7, "SubtaskStatusSet": devices}));
    let list = done(Ask3::new("DescribeDevices", "")).await;
    assert_eq!(list["TotalCount"], 1);
    let device = &list["DeviceInfoSet"][0];
    assert_eq!((&device["OperateStatus"], &device["Alias"]), (&json!(11), &json!("gateway")));
    assert!(device["MaintainStatus"].is_null() && device.get("MaintainStatus").is_some());
    assert_eq!(device.as_object().unwrap().len(), 26);
    let log = done(Ask3::new("DescribeDeviceOperationLog", r#"{"InstanceId":"cpm-1"}"#)).await;
    let entry = &log["DeviceOperationLogSet"][0];
    assert_eq!((&entry["Id"], &entry["TaskId"]), (&json!(6958), &json!(101)));
    assert_eq!((&entry["Status"], &entry["OpUin"]), (&json!(1), &json!("1307774067")));
    assert_eq!(entry.as_object().unwrap().len(), 10);
}

#[tokio::test]
async fn parameters_come_as_json_as_a_query_or_as_a_form() {
    let world = World::new().await;
    let query = "InstanceIds.0=cpm-1&InstanceIds.1=cpm-2&Password=Ab1%21%40%23%24%25";
    world.send(Ask3::get("ResetDevicePassword", query).raw()).await.done_v3();
    let body = r#"{"InstanceIds":["cpm-1","cpm-2"],"Password":"Ab1!@#$%"}"#;
    world.send(Ask3::new("ResetDevicePassword", body).raw()).await.done_v3();
    let form = Ask::new("ResetDevicePassword")
        .with("Version", "2018-04-23")
        .with("InstanceIds.0", "cpm-1")
        .with("InstanceIds.1", "cpm-2")
        .with("Password", "Ab1!@#$%");
    for request in [form.v1_get(), form.v1_post()] {
        world.send(request).await.done_v3();
    }
    let resets = world.service.asked.all();
    assert_eq!(resets, vec!["reset cpm-1,cpm-2 Ab1!@#$%"; 4]);
}

#[tokio::test]
async fn the_same_signed_request_again_answers_with_the_first_task_and_does_nothing() {
    let world = World::new().await;
    let ask = Ask3::reset("abce1234");
    // The SDKs do not sign action and region: a captured request may come back with others.
    let copies = [
        ask.clone(),
        ask.clone().with("X-TC-Region", "ap-moon"),
        ask.clone().with("X-TC-Language", "en-US"),
    ];
    for copy in copies {
        assert_eq!(world.send(copy.raw()).await.done_v3(), json!({"TaskId": 101}));
    }
    assert_eq!(world.service.asked.all().len(), 1);
    let other = Ask3::reset("abce1235");
    world.send(other.raw()).await.done_v3();
    assert_eq!(world.service.asked.all().len(), 2);
}

#[tokio::test]
async fn a_form_that_is_encoded_differently_is_the_same_signed_request() {
    let world = World::new().await;
    let form = Ask::new("ResetDevicePassword")
        .with("Version", "2018-04-23")
        .with("InstanceIds.0", "cpm-1")
        .with("Password", "abce1234");
    let sent = form.v1_post();
    let (head, body) = sent.split_once("\r\n\r\n").unwrap();
    let mut fields: Vec<_> = body.split('&').collect();
    fields.reverse();
    let turned = format!("{head}\r\n\r\n{}", fields.join("&"));
    assert_eq!(turned.len(), sent.len());
    world.send(&sent).await.done_v3();
    world.send(turned).await.done_v3();
    world.send(sent.replace("InstanceIds.0", "InstanceIds_0")).await.done_v3();
    assert_eq!(world.service.asked.all().len(), 1);
}

#[tokio::test]
async fn another_action_under_the_same_signature_changes_nothing() {
    let world = World::new().await;
    let ask = Ask3::reset("abce1234");
    world.send(ask.raw()).await.done_v3();
    for action in ["DescribeDevices", "DescribeOperationResult", "DescribeTask"] {
        let code =
            if action == "DescribeDevices" { "UnknownParameter" } else { "MissingParameter" };
        let swapped = ask.clone().with("X-TC-Action", action);
        world.send(swapped.raw()).await.assert_refused_v3(code);
    }
    let admin = Ask3 {
        secret_id: "AKIDADMIN".to_owned(),
        ..Ask3::new("DescribeApiKeys", r#"{"AppId":1}"#)
    };
    world.send(admin.raw()).await.done_v3();
    let swapped = admin.with("X-TC-Action", "CreateEnrolmentToken");
    world.send(swapped.raw()).await.assert_refused_v3("AuthFailure.SignatureFailure");
    assert_eq!(
        world.send(swapped.signing_action().raw()).await.done_v3()["Token"],
        "opencpm1.text.sum"
    );
}

#[tokio::test]
async fn an_administrative_request_is_done_once() {
    let world = World::new().await;
    let ask = Ask3 {
        secret_id: "AKIDADMIN".to_owned(),
        ..Ask3::new("CreateAccount", r#"{"AppId":7,"Name":"lab"}"#).signing_action()
    };
    let account = json!({"AppId": 7, "Name": "lab", "Blocked": false});
    assert_eq!(world.send(ask.raw()).await.done_v3(), account);
    world.send(ask.raw()).await.assert_refused_v3("AuthFailure.SignatureExpire");
}

#[tokio::test]
async fn an_unsigned_payload_is_a_task_for_each_body() {
    let ask = Ask3::reset("abce1234").with("X-TC-Content-SHA256", "UNSIGNED-PAYLOAD");
    let other = Ask3 { sent: Some(ask.payload.replace("1234", "1235")), ..ask.clone() };
    let world = World::new().await;
    for request in [&ask, &other, &ask, &other] {
        world.send(request.raw()).await.done_v3();
    }
    assert_eq!(world.service.asked.all().len(), 2);
    let strict = Settings { unsigned_payload: false, ..Settings::default() };
    let world = World::with(strict).await;
    world.send(ask.raw()).await.assert_refused_v3("AuthFailure.SignatureFailure");
}

#[tokio::test]
async fn what_the_signature_covers_cannot_be_changed() {
    let world = World::new().await;
    let ask = Ask3::reset("abce1234");
    let changed = [
        Ask3 { sent: Some(ask.payload.replace("1234", "1235")), ..ask.clone() },
        Ask3 { signed_host: "evil.example.com".to_owned(), ..ask.clone() },
        Ask3 { date: "2023-11-15".to_owned(), ..ask.clone() },
        Ask3 { service: "cvm".to_owned(), ..ask.clone() },
    ];
    for ask in changed {
        world.send(ask.raw()).await.assert_refused_v3("AuthFailure.SignatureFailure");
    }
    let get = Ask3::get("DescribeDevices", "Limit=1&Offset=0");
    let turned = Ask3 { sent: Some("Offset=0&Limit=1".to_owned()), ..get };
    world.send(turned.raw()).await.assert_refused_v3("AuthFailure.SignatureFailure");
    assert!(world.service.asked.all().is_empty());
}

#[tokio::test]
async fn a_browser_that_looks_around_is_no_client() {
    let world = World::new().await;
    let look = "GET / HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\nConnection: close\r\n\r\n";
    assert_eq!(world.send(look).await.status, 404);
    let asks = "GET /?Action=DescribeDevices HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    world.send(asks).await.assert_refused_v3("MissingParameter");
}

#[tokio::test]
async fn a_change_needs_its_action_and_its_body_signed() {
    let world = World::new().await;
    let ask = Ask3 {
        secret_id: "AKIDADMIN".to_owned(),
        ..Ask3::new("CreateAccount", r#"{"AppId":7,"Name":"lab"}"#)
    };
    let unsigned = ask.clone().signing_action().with("X-TC-Content-SHA256", "UNSIGNED-PAYLOAD");
    for refused in [&ask, &unsigned] {
        world.send(refused.raw()).await.assert_refused_v3("AuthFailure.SignatureFailure");
    }
    world.send(ask.signing_action().raw()).await.done_v3();
}

/// Whoever limits a key to no tag at all must not get one without a limit.
#[tokio::test]
async fn an_empty_list_of_tags_is_no_limit_and_is_refused() {
    let world = World::new().await;
    let refused = "InvalidParameterValue.InvalidParameter";
    let list = Ask3::new("DescribeDevices", r#"{"Tags":[]}"#);
    world.send(list.raw()).await.assert_refused_v3(refused);
    let key = Ask3 {
        secret_id: "AKIDADMIN".to_owned(),
        ..Ask3::new("CreateApiKey", r#"{"AppId":1,"Uin":"1","Tags":[]}"#).signing_action()
    };
    world.send(key.raw()).await.assert_refused_v3(refused);
    assert!(world.service.asked.all().is_empty());
}

#[tokio::test]
async fn a_message_speaks_the_dialect_of_the_request() {
    let world = World::new().await;
    let ask = Ask3::new(
        "ResetDevicePassword",
        r#"{"InstanceIds":["a"],"Password":"abce1234","Limit":1}"#,
    );
    let reply = world.send(ask.raw()).await;
    let message = &reply.json()["Response"]["Error"]["Message"];
    assert_eq!(message, "unknown: Limit; ResetDevicePassword takes InstanceIds, Password");
}

#[tokio::test]
async fn a_form_may_come_under_the_content_type_of_json() {
    let world = World::new().await;
    let form = Ask::new("DescribeDevices").with("Version", "2018-04-23").v1_get();
    let typed = form.replace("\r\nConnection", "\r\nContent-Type: application/json\r\nConnection");
    assert_ne!(form, typed);
    world.send(typed).await.done_v3();
}
