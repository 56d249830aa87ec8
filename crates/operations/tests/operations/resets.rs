//! Acceptance: who may be reset, and what a refusal says.

use std::sync::Arc;

use opencpm_domain::{Condition, DeviceStatus, InstanceId, OperateStatus};
use opencpm_operations::administer::{NewDevice, create_device, modify_device};
use opencpm_operations::deliver::deliver;
use opencpm_operations::lease;
use opencpm_operations::port::Deliverable;
use opencpm_operations::row::AttributeChanges;
use secrecy::ExposeSecret;
use tokio::runtime::Handle;
use tokio::task::block_in_place;

use crate::machine::Machine;
use crate::world::{GATEWAY, OTHER_GATEWAY, THIRD_GATEWAY, World};

#[tokio::test]
async fn every_machine_gets_the_password_sealed_for_itself() {
    let world = World::new().await;
    let machines: [Machine; 9] = world.machines().await;
    let ids: Vec<_> = machines.iter().map(|machine| &machine.instance).collect();
    let task = world.reset(&ids).await.unwrap();
    for machine in &machines {
        let frame = world.job_for(machine).await;
        assert_eq!(machine.open(&world, &frame).expose_secret(), "abce1234");
    }
    let result = world.result(task).await;
    assert_eq!(result.status.number(), 4);
    assert!(result.jobs.iter().map(|job| &job.instance).eq(ids));
}

#[tokio::test]
async fn one_bad_device_stops_all_and_the_message_names_each_bad_one_and_why() {
    let world = World::new().await;
    let [good, stopped, busy, foreign] = world.machines().await;
    let unknown = InstanceId::parse("cpm-unknown").unwrap();
    let attributes = Default::default();
    let new = NewDevice { instance: None, account: world.caller.app_id, attributes };
    let blank = create_device(&world.api, world.administrator(), new).await.unwrap();
    let changes =
        AttributeChanges { device_status: Some(DeviceStatus::Isolated), ..<_>::default() };
    modify_device(&world.api, world.administrator(), &stopped.instance, changes).await.unwrap();
    world.reset(&[&busy.instance]).await.unwrap();
    world.forge("INSERT INTO account (app_id, name, blocked) VALUES (2, '', 0)").await;
    sqlx::query("UPDATE device SET account = 2 WHERE instance = ?1")
        .bind(foreign.instance.as_str())
        .execute(&world.intruder)
        .await
        .unwrap();

    let all = [&good, &stopped, &busy, &foreign].map(|machine| &machine.instance);
    let all: Vec<_> = all.into_iter().chain([&unknown, &blank]).collect();
    let refusal = world.reset(&all).await.unwrap_err();
    assert_eq!(refusal.condition, Condition::NotFound);
    assert!(!refusal.message.contains(good.instance.as_str()), "{refusal}");
    for (id, why) in [
        (&stopped.instance, "isolated"),
        (&busy.instance, "resetting password"),
        (&foreign.instance, "no such device"),
        (&unknown, "no such device"),
        (&blank, "never enrolled"),
    ] {
        let told = refusal.message.split("; ").find(|line| line.starts_with(id.as_str()));
        assert!(told.unwrap().contains(why), "{refusal}");
    }
    // Nothing was written: the good one is still free.
    world.reset(&[&good.instance]).await.unwrap();
}

#[tokio::test]
async fn of_several_refusals_the_first_in_the_contracts_order_answers() {
    let world = World::new().await;
    let [stopped, away, free] = world.machines().await;
    let changes =
        AttributeChanges { operate_status: Some(OperateStatus::ShutDown), ..<_>::default() };
    modify_device(&world.api, world.administrator(), &stopped.instance, changes).await.unwrap();
    let unknown = InstanceId::parse("cpm-unknown").unwrap();
    world.gateway.store.unbind(GATEWAY, vec![(away.instance.clone(), 1)]).await.unwrap();
    let conditions = async |ids: &[&InstanceId]| world.reset(ids).await.unwrap_err().condition;
    let (stopped, away) = (&stopped.instance, &away.instance);
    assert_eq!(conditions(&[away, &free.instance]).await, Condition::AgentNotAlive);
    assert_eq!(conditions(&[away, stopped]).await, Condition::DeviceStateWrong);
    assert_eq!(conditions(&[away, stopped, &unknown]).await, Condition::NotFound);
}

#[tokio::test]
async fn a_device_of_another_account_is_as_if_unknown() {
    let world = World::new().await;
    let [machine] = world.machines().await;
    let other = world.other_caller().await;
    let refused = world.reset_as(&other, &[&machine.instance], world.unique()).await;
    let unknown = InstanceId::parse("cpm-unknown").unwrap();
    let truly_unknown = world.reset_as(&other, &[&unknown], world.unique()).await.unwrap_err();
    let expected = truly_unknown.message.replace("cpm-unknown", machine.instance.as_str());
    assert_eq!(refused.unwrap_err().message, expected);
}

/// 9008 says "try again in a moment", 12006 "look at the machine".
#[tokio::test]
async fn a_lost_gateway_is_told_from_a_lost_agent_by_the_stores_clock() {
    let world = World::new().await;
    let [lost, gone] = world.machines().await;
    let blank = world.machines::<1>().await;
    let condition = async |id: &InstanceId| world.reset(&[id]).await.unwrap_err().condition;
    world.gateway.store.unbind(GATEWAY, vec![(gone.instance.clone(), 1)]).await.unwrap();
    assert_eq!(condition(&gone.instance).await, Condition::AgentNotAlive);

    // No gateway is alive: nobody can say that it is the agent's fault.
    lease::end(&world.gateway, GATEWAY).await.unwrap();
    assert_eq!(condition(&gone.instance).await, Condition::GatewayLost);
    assert_eq!(condition(&lost.instance).await, Condition::GatewayLost);

    // Another one is: a device of the lost one may be back in a moment, for a minute.
    assert!(lease::renew(&world.gateway, OTHER_GATEWAY).await.unwrap());
    assert_eq!(condition(&gone.instance).await, Condition::AgentNotAlive);
    assert_eq!(condition(&lost.instance).await, Condition::GatewayLost);
    world.clock.advance(59);
    assert!(lease::renew(&world.gateway, THIRD_GATEWAY).await.unwrap());
    assert_eq!(condition(&lost.instance).await, Condition::GatewayLost);
    world.clock.advance(1);
    assert_eq!(condition(&lost.instance).await, Condition::AgentNotAlive);
    assert_eq!(condition(&blank[0].instance).await, Condition::AgentNotAlive);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_changes_while_it_is_sealed_for_is_sealed_for_anew() {
    let world = World::new().await;
    let [machine, other] = world.machines().await;
    // It comes and goes while gateways are replaced.
    reconnect_while_sealing(&world, &machine, 5);
    let task = world.reset(&[&machine.instance, &other.instance]).await.unwrap();
    let frame = world.job_for(&machine).await;
    assert_eq!(machine.open(&world, &frame).expose_secret(), "abce1234");
    machine.report(&world, &machine.success(&frame, &[])).await;
    other.obey(&world, &[]).await;
    assert_eq!(world.result(task).await.status.number(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_keeps_changing_is_refused_by_name_and_nothing_is_written() {
    let world = World::new().await;
    let [machine, other] = world.machines().await;
    reconnect_while_sealing(&world, &machine, 100);
    let refused = world.reset(&[&other.instance, &machine.instance]).await.unwrap_err();
    assert_eq!(refused.condition, Condition::DeviceBusy);
    assert!(refused.message.contains(machine.instance.as_str()), "{refused}");
    assert!(!refused.message.contains(other.instance.as_str()), "{refused}");
    let which = Deliverable::Devices(vec![other.instance, machine.instance]);
    assert!(deliver(&world.gateway, GATEWAY, which).await.unwrap().is_empty());
}

/// Has the machine connect anew during so many of the next sealings.
fn reconnect_while_sealing(world: &World, machine: &Machine, times: u32) {
    let (gateway, machine) = (Arc::clone(&world.gateway), machine.clone());
    let mut left = times;
    world.dice.before_each(move || {
        if left > 0 {
            left -= 1;
            let again = machine.connect(&gateway, GATEWAY);
            block_in_place(|| Handle::current().block_on(again));
        }
    });
}

#[tokio::test]
async fn a_request_that_comes_again_changes_nothing() {
    let world = World::new().await;
    let [machine] = world.machines().await;
    let unique = world.unique();
    let first = world.reset_as(&world.caller, &[&machine.instance], unique.clone()).await.unwrap();
    machine.obey(&world, &[]).await;
    let again = world.reset_as(&world.caller, &[&machine.instance], unique).await.unwrap_err();
    assert_eq!(again.condition, Condition::Replayed);
    assert_eq!(world.result(first).await.status.number(), 1);
    // A refused request leaves no trace: it may come again.
    let unique = world.unique();
    lease::end(&world.gateway, GATEWAY).await.unwrap();
    let early = world.reset_as(&world.caller, &[&machine.instance], unique.clone()).await;
    assert_eq!(early.unwrap_err().condition, Condition::GatewayLost);
    assert!(lease::renew(&world.gateway, OTHER_GATEWAY).await.unwrap());
    machine.connect(&world.gateway, OTHER_GATEWAY).await;
    world.reset_as(&world.caller, &[&machine.instance], unique).await.unwrap();
}

#[tokio::test]
async fn of_two_requests_for_one_device_one_is_accepted() {
    let world = World::new().await;
    let [machine] = world.machines().await;
    let ids = [&machine.instance];
    let (a, b) = tokio::join!(world.reset(&ids), world.reset(&ids));
    let (accepted, refused) = if a.is_ok() { (a, b) } else { (b, a) };
    assert!(accepted.is_ok());
    assert_eq!(refused.unwrap_err().condition, Condition::DeviceBusy);
}
