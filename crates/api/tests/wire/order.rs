//! The order of evaluation within a step (contract 7.1), and the edges of the clock window.

use std::sync::atomic::Ordering;

use crate::ask::Ask;
use crate::world::{NOW, SECRET_KEY, World};
use opencpm_api::Settings;
use opencpm_api::action::{ACTIONS, Action, Operation};
use opencpm_api::dialect::Dialect;
use serde_json::json;

#[tokio::test]
async fn quota_comes_before_permission_and_permission_before_maintenance() {
    let world = World::new().await;
    let by_reader = |action| Ask::new(action).signed_by("AKIDREADER", SECRET_KEY);
    world.send(by_reader("VerifyTask").get()).await.assert_refused(4400);
    world.service.maintenance.store(true, Ordering::Relaxed);
    world.send(by_reader("ResetDevicePasswd").get()).await.assert_refused(4101);
    world.send(by_reader("NoSuchAction").get()).await.assert_refused(6100);
    world.send(Ask::reset("short").get()).await.assert_refused(6200);
    world.service.maintenance.store(false, Ordering::Relaxed);
    world.send(Ask::reset("short").get()).await.assert_refused(10001);
    world.send(by_reader("DescribeDeviceList").get()).await.assert_done();
}

/// Contract 2.6: it is recorded with an accepted task only.
#[tokio::test]
async fn a_request_that_was_refused_for_its_quota_works_when_it_comes_again() {
    let world = World::new().await;
    let ask = Ask::reset("abce1234").post();
    world.service.used_up.store(true, Ordering::Relaxed);
    world.send(&ask).await.assert_refused(4400);
    assert!(world.service.asked.all().is_empty());
    world.send(&ask).await.assert_done();
}

#[tokio::test]
async fn under_maintenance_reads_work_and_changes_are_refused_but_for_its_end_and_revocations() {
    let world = World::new().await;
    let by_admin = |action: &Action| Ask::new(action.name()).signed_by("AKIDADMIN", SECRET_KEY);
    let modify = Action::named("ModifyMaintenance", Dialect::V2).unwrap();
    let switch = |on| by_admin(modify).with("enabled", on);
    world.send(Ask::new(modify.name()).with("enabled", "1").get()).await.assert_refused(4101);
    world.send(switch("1").with("message", "until noon").get()).await.assert_done();
    // What keeps a stolen key away works as well.
    let works = [modify.operation, Operation::ModifyApiKey, Operation::ModifyAccount];
    for action in &works[1..] {
        let reply = world.send(Ask::new(action.name()).signed_by("AKIDADMIN", SECRET_KEY).get());
        reply.await.assert_refused(10001);
    }
    for action in ACTIONS.iter().filter(|action| !works.contains(&action.operation)) {
        let reply = world.send(by_admin(action).get()).await;
        let expected = matches!(action.operation, Operation::VerifyTask).then_some(4400);
        match (action.mutates, expected) {
            (true, _) => {
                reply.assert_refused(6200);
                assert!(reply.message().contains("until noon"), "{reply:?}");
            }
            (false, Some(quota)) => reply.assert_refused(quota),
            // Its parameters are looked at.
            (false, None) => assert!([0, 10001].contains(&reply.code()), "{reply:?}"),
        }
    }
    let told = world.send(Ask::new("DescribeMaintenance").get()).await;
    let begun = json!({"enabled": true, "message": "until noon",
        "startTime": "2023-11-14 22:13:20"});
    assert_eq!(told.json()["data"], begun);
    world.send(switch("0").get()).await.assert_done();
    world.send(Ask::reset("abce1234").get()).await.assert_done();
    let told = world.send(Ask::new("DescribeMaintenance").get()).await;
    assert_eq!(told.json()["data"], json!({"enabled": false, "message": "", "startTime": ""}));
}

#[tokio::test]
async fn actions_are_named_exactly() {
    let world = World::new().await;
    for action in ["resetDevicePasswd", "ResetDevicePassword", "Reset", "é", "constructor"] {
        world.send(Ask::new(action).get()).await.assert_refused(6100);
    }
}

#[tokio::test]
async fn the_clock_window_has_both_of_its_ends() {
    let world = World::new().await;
    for timestamp in [NOW - 300, NOW + 300] {
        let ask = Ask::new("DescribeDevice").with("Timestamp", &timestamp.to_string());
        world.send(ask.get()).await.assert_done();
    }
    for timestamp in [0, NOW - 301, NOW + 301, u64::MAX] {
        let ask = Ask::new("DescribeDevice").with("Timestamp", &timestamp.to_string());
        world.send(ask.get()).await.assert_refused(4500);
    }
}

#[tokio::test]
async fn a_temporary_key_needs_its_token() {
    let world = World::new().await;
    let ask = || Ask::new("DescribeDevice").signed_by("AKIDTEMPORARY", SECRET_KEY);
    world.send(ask().get()).await.assert_refused(4105);
    world.send(ask().with("Token", "tmp-token-2").get()).await.assert_refused(4105);
    world.send(ask().with("Token", "tmp-token-1").get()).await.assert_done();
}

#[tokio::test]
async fn a_used_nonce_does_not_matter_to_what_changes_nothing() {
    let world = World::new().await;
    world.send(Ask::new("DescribeDevice").with("Nonce", "77").get()).await.assert_done();
    let ask = Ask::new("CreateAccount").signed_by("AKIDADMIN", SECRET_KEY).with("Nonce", "77");
    world.send(ask.get()).await.assert_refused(4500);
}

#[tokio::test]
async fn a_signature_for_a_host_that_is_not_listed_is_refused() {
    let hosts = vec!["bm.example.com".to_owned()];
    let world = World::with(Settings { hosts, ..Settings::default() }).await;
    let ask = Ask::new("DescribeDevice");
    world.send(ask.get()).await.assert_done();
    for host in ["evil.example.com", "", "http://127.0.0.1:8080"] {
        let form = ask.clone().signed_for(host).form("GET");
        world.send(crate::ask::get_from(host, &form)).await.assert_refused(4100);
    }
    let form = ask.clone().signed_for("BM.example.com:8443").form("GET");
    world.send(crate::ask::get_from("BM.example.com:8443", &form)).await.assert_done();
}

#[tokio::test]
async fn any_host_is_an_opaque_text() {
    let world = World::new().await;
    for host in ["http://127.0.0.1:8080", "localhost:8443", "[::1]:80", "a b", ""] {
        let form = Ask::new("DescribeDevice").signed_for(host).form("GET");
        world.send(crate::ask::get_from(host, &form)).await.assert_done();
    }
}
