//! The order of evaluation behind the edge (contract 7.1, steps 10 to 13): device, state, agent and
//! gateway, queue.

use std::sync::Arc;

use async_trait::async_trait;
use opencpm_domain::{Condition, GatewayId, InstanceId, OperateStatus};
use opencpm_operations::administer::modify_device;
use opencpm_operations::lease;
use opencpm_operations::port::{Queue, QueueError, ReadyJobs, Subscription};
use opencpm_operations::row::AttributeChanges;

use crate::world::{GATEWAY, OTHER_GATEWAY, World};

/// A broker that is configured and away.
struct Away;

fn away() -> QueueError {
    QueueError::Unreachable("nobody listens".into())
}

#[async_trait]
impl Queue for Away {
    async fn check(&self) -> Result<(), QueueError> {
        Err(away())
    }

    async fn publish(&self, _: Vec<ReadyJobs>) -> Result<(), QueueError> {
        Err(away())
    }

    async fn subscribe(&self, _: GatewayId) -> Result<Box<dyn Subscription>, QueueError> {
        Err(away())
    }
}

#[tokio::test]
async fn of_device_state_agent_and_queue_the_earlier_answers() {
    let mut world = World::new().await;
    let [free, stopped, busy, offline, lost] = world.machines().await;
    let stored = |status| AttributeChanges { operate_status: Some(status), ..<_>::default() };
    for (machine, status) in
        [(&stopped, OperateStatus::ShutDown), (&busy, OperateStatus::Rebooting)]
    {
        let by = world.administrator();
        modify_device(&world.api, by, &machine.instance, stored(status)).await.unwrap();
    }
    world.gateway.store.unbind(GATEWAY, vec![(offline.instance.clone(), 1)]).await.unwrap();
    lease::end(&world.gateway, GATEWAY).await.unwrap();
    assert!(lease::renew(&world.gateway, OTHER_GATEWAY).await.unwrap());
    free.connect(&world.gateway, OTHER_GATEWAY).await;
    Arc::get_mut(&mut world.api).unwrap().queue = Arc::new(Away);

    let unknown = InstanceId::parse("cpm-unknown").unwrap();
    let in_order = [
        (&unknown, Condition::NotFound),
        (&stopped.instance, Condition::DeviceStateWrong),
        (&busy.instance, Condition::DeviceBusy),
        (&lost.instance, Condition::GatewayLost),
        (&offline.instance, Condition::AgentNotAlive),
        (&free.instance, Condition::BrokerUnavailable),
    ];
    for (place, (first, condition)) in in_order.iter().enumerate() {
        assert_eq!(world.reset(&[first]).await.unwrap_err().condition, *condition);
        for (second, _) in &in_order[place + 1..] {
            for ids in [[*first, *second], [*second, *first]] {
                let refusal = world.reset(&ids).await.unwrap_err();
                assert_eq!(refusal.condition, *condition, "{refusal}");
            }
        }
    }
}

/// A gateway cannot renew its lease then: that it seems to be lost says nothing of it.
#[tokio::test]
async fn a_store_that_takes_no_changes_is_named_before_the_gateways_that_it_lost() {
    let world = World::new().await;
    let [machine] = world.machines().await;
    let reset = async || world.reset(&[&machine.instance]).await.unwrap_err().condition;
    lease::end(&world.gateway, GATEWAY).await.unwrap();
    assert_eq!(reset().await, Condition::GatewayLost);
    let held = world.intruder.begin_with("BEGIN IMMEDIATE").await.unwrap();
    assert_eq!(reset().await, Condition::StoreUnavailable);
    held.rollback().await.unwrap();
    assert_eq!(reset().await, Condition::GatewayLost);
}
