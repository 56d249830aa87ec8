//! What a gateway without a lease leaves undone, and how it comes by a new one.

mod support;

use std::collections::HashSet;
use std::time::Duration;

use opencpm_protocol::conversation::AgentEvent;
use opencpm_protocol::message::Farewell;
use support::World;
use support::agent::Device;

#[tokio::test(start_paused = true)]
async fn a_lost_lease_closes_everybody_and_a_new_id_takes_them_in_again() {
    let world = World::start().await;
    let device = Device::enrolled(1, &world.fake);
    let mut agent = world.connect(&device).await;
    let before = world.fake.store.borrow().bindings[&device.instance].0;
    world.fake.set(|store| (store.no_leases, store.leases) = (true, HashSet::new()));
    assert_eq!(agent.farewell().await, Some(Farewell::Unavailable));
    world.fake.set(|store| store.no_leases = false);
    let mut agent = world.connect(&device).await;
    let after = world.fake.store.borrow().bindings[&device.instance].0;
    assert_ne!(before, after);
    let job = world.fake.publish_job(&device).await;
    assert_eq!(agent.job().await, job);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_gateway_whose_lease_ended_records_and_acknowledges_nothing() {
    let world = World::start().await;
    let device = Device::enrolled(1, &world.fake);
    let mut agent = world.connect(&device).await;
    // The store has ended the lease; the gateway has not heard of it yet.
    world.fake.set(|store| (store.no_leases, store.leases) = (true, HashSet::new()));
    let job = world.fake.add_job(&device);
    let report = device.report(job, world.fake.deployment);
    agent.say(AgentEvent::Report(Box::new(report))).await;
    assert_eq!(agent.farewell().await, Some(Farewell::Unavailable));
    assert!(world.fake.store.borrow().reports.is_empty());
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_ends_the_term_before_the_lease_does() {
    let world = World::start().await;
    let device = Device::enrolled(1, &world.fake);
    let mut agent = world.connect(&device).await;
    world.fake.set(|store| store.down = true);
    let began = tokio::time::Instant::now();
    assert_eq!(agent.farewell().await, Some(Farewell::Unavailable));
    assert!(began.elapsed() <= world.fake.lease, "{:?}", began.elapsed());
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_store_that_answers_slowly_and_in_time_costs_nobody_the_connection() {
    let world = World::start().await;
    let device = Device::enrolled(1, &world.fake);
    let mut agent = world.connect(&device).await;
    world.fake.set(|store| store.slow_renewals = Duration::from_millis(4_500));
    world.fake.until(|store| store.calls.iter().filter(|call| call.0 == "renew").count() > 5).await;
    let job = world.fake.publish_job(&device).await;
    assert_eq!(agent.job().await, job);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_is_answered_too_late_is_not_believed_and_the_store_hears_of_it() {
    let world = World::start().await;
    let device = Device::enrolled(1, &world.fake);
    let mut agent = world.connect(&device).await;
    let (first, _) = world.fake.store.borrow().bindings[&device.instance];
    world.fake.set(|store| store.slow_renewals = Duration::from_secs(60));
    assert_eq!(agent.farewell().await, Some(Farewell::Unavailable));
    world.fake.until(|store| !store.leases.contains(&first) && store.leases.len() == 1).await;
    world.stop().await;
}
