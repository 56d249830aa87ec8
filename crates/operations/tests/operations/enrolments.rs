//! Machines become devices, and the same devices again.

use opencpm_domain::{Condition, Generation, JobState, Reason};
use opencpm_operations::authentic::sign_device;
use opencpm_operations::enrol::EnrolRefusal;
use opencpm_operations::port::{AdminChange, Administered, Change};
use opencpm_operations::row::{AuditEntry, Device, DeviceAuthority, DeviceQuery};
use opencpm_protocol::message::Facts;

use crate::machine::Machine;
use crate::world::{GATEWAY, World};

async fn device(world: &World, machine: &Machine) -> Device {
    let instances = vec![machine.instance.clone()];
    let query = DeviceQuery { instances, limit: 1, ..DeviceQuery::default() };
    world.api.store.devices(&query).await.unwrap().1.items.remove(0)
}

#[tokio::test]
async fn a_token_makes_as_many_devices_as_it_has_uses() {
    let world = World::new().await;
    let token = world.token(2).await;
    let [mut a, mut b, mut c] = [(); 3].map(|()| Machine::new());
    a.enrol(&world, &token).await.unwrap();
    b.enrol(&world, &token).await.unwrap();
    assert_ne!(a.instance, b.instance);
    assert!(matches!(c.enrol(&world, &token).await, Err(EnrolRefusal::Token)));
    // A machine that did not hear the answer asks again, and takes no further use.
    let first = a.instance.clone();
    assert_eq!(a.enrol(&world, &token).await.unwrap().instance, first);
}

#[tokio::test]
async fn two_machines_that_race_for_the_last_use_do_not_both_get_it() {
    let world = World::new().await;
    let token = world.token(1).await;
    let [mut a, mut b] = [Machine::new(), Machine::new()];
    let (a, b) = tokio::join!(a.enrol(&world, &token), b.enrol(&world, &token));
    assert!(a.is_ok() != b.is_ok());
    let refused = if a.is_ok() { b } else { a };
    assert!(matches!(refused, Err(EnrolRefusal::Token)));
}

#[tokio::test]
async fn a_token_that_is_unknown_expired_or_was_changed_is_refused() {
    let world = World::new().await;
    let token = world.token(9).await;
    let mut machine = Machine::new();
    world.forge("UPDATE enrolment_token SET expires = expires + 1").await;
    let refused = machine.enrol(&world, &token).await;
    assert!(matches!(refused, Err(EnrolRefusal::NotAuthentic(_))), "{refused:?}");
    world.forge("UPDATE enrolment_token SET expires = expires - 1").await;
    world.clock.advance(3_600);
    assert!(matches!(machine.enrol(&world, &token).await, Err(EnrolRefusal::Token)));
    world.forge("DELETE FROM enrolment_token").await;
    assert!(matches!(machine.enrol(&world, &token).await, Err(EnrolRefusal::Token)));
}

#[tokio::test]
async fn a_token_for_a_device_enrols_that_device_again_and_ends_its_jobs() {
    let world = World::new().await;
    let [sent, unsent] = world.machines().await;
    let tasks = [&sent, &unsent].map(|machine| [&machine.instance]);
    let sent_task = world.reset(&tasks[0]).await.unwrap();
    let unsent_task = world.reset(&tasks[1]).await.unwrap();
    world.job_for(&sent).await;
    for old in [&sent, &unsent] {
        let token = world.token_for(world.caller.app_id, Some(&old.instance), 1).await.unwrap();
        let mut new = Machine::new();
        let enrolled = new.enrol(&world, &token).await.unwrap();
        assert_eq!(enrolled.instance, old.instance);
        assert_eq!(enrolled.identity_generation, Generation::FIRST.next());
        // Bound to no connection until it connects.
        let refused = world.reset(&[&new.instance]).await.unwrap_err();
        assert_eq!(refused.condition, Condition::AgentNotAlive);
        new.connect(&world.gateway, GATEWAY).await;
        world.reset(&[&new.instance]).await.unwrap();
        assert_eq!(world.job_for(&new).await.identity_generation, new.generation);
    }
    let reason = async |task| match world.job(task).await.state {
        JobState::Failed { reason, .. } => reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(reason(sent_task).await, Reason::OutcomeUnknown);
    assert_eq!(reason(unsent_task).await, Reason::ReEnrolled);
}

#[tokio::test]
async fn a_token_for_a_device_is_for_that_device_only() {
    let world = World::new().await;
    let [mut a, b] = world.machines().await;
    let token = world.token_for(world.caller.app_id, Some(&b.instance), 1).await.unwrap();
    assert!(matches!(a.enrol(&world, &token).await, Err(EnrolRefusal::OtherDevice)));
    // And only the device's own account gets one.
    let other = world.other_caller().await;
    let refused = world.token_for(other.app_id, Some(&b.instance), 1).await.unwrap_err();
    assert_eq!(refused.condition, Condition::NotFound);
}

#[tokio::test]
async fn a_machine_of_one_account_does_not_enrol_with_a_token_of_another() {
    let world = World::new().await;
    let [mut machine] = world.machines().await;
    let other = world.other_caller().await;
    let token = world.token_for(other.app_id, None, 1).await.unwrap();
    assert!(matches!(machine.enrol(&world, &token).await, Err(EnrolRefusal::OtherAccount)));
}

/// The former owner kept a token for it.
#[tokio::test]
async fn a_device_that_changed_hands_is_not_enrolled_with_a_token_of_its_former_owner() {
    let world = World::new().await;
    let [machine] = world.machines().await;
    let other = world.other_caller().await;
    let token = world.token_for(world.caller.app_id, Some(&machine.instance), 1).await.unwrap();
    let authority =
        DeviceAuthority { account: other.app_id, ..device(&world, &machine).await.authority };
    let signature = sign_device(&*world.api.keys, &authority);
    let audit = AuditEntry {
        at: world.now(),
        secret_id: None,
        uin: None,
        action: "Test".to_owned(),
        subject: String::new(),
    };
    let what = Change::ModifyAuthority { authority, signature, jobs: Vec::new() };
    let change = AdminChange { what, audit, unique: None };
    assert_eq!(world.api.store.administer(change).await.unwrap(), Administered::Done);
    let refused = Machine::new().enrol(&world, &token).await;
    assert!(matches!(refused, Err(EnrolRefusal::OtherAccount)), "{refused:?}");
}

#[tokio::test]
async fn a_machine_cannot_give_its_device_a_name_that_hurts_a_terminal() {
    let world = World::new().await;
    let token = world.token(1).await;
    let mut machine = Machine::new();
    machine.facts = Facts {
        hostname: format!("web\u{1b}[2J-1{}", "x".repeat(1_000)),
        addresses: vec!["\u{7}".to_owned(), "10.0.0.7".to_owned()],
        ..Facts::default()
    };
    machine.enrol(&world, &token).await.unwrap();
    let attributes = device(&world, &machine).await.attributes;
    assert!(attributes.alias.starts_with("web[2J-1x") && attributes.alias.len() == 64);
    assert_eq!(attributes.lan_ip, "10.0.0.7");
}
