//! What time does, however much of it is due at once.

use opencpm_domain::{Condition, JobState, JobStatus, Reason, Span};
use opencpm_operations::deliver::deliver;
use opencpm_operations::lease;
use opencpm_operations::port::Deliverable;
use opencpm_operations::sweep::{
    end_overdue_jobs, forget_gateways, forget_replays, forget_tasks, scrub,
};

use crate::world::{GATEWAY, OTHER_GATEWAY, World};

/// Puts so many more devices with an open job into the store as there are below the limit.
const MANY: &str = "WITH RECURSIVE n(n) AS (SELECT 1000 UNION ALL SELECT n + 1 FROM n LIMIT 10000)
     INSERT INTO job SELECT n, randomblob(16), task, n, devices, instance || n, account, created,
         sequence, identity_generation, sealing_generation, verb, issued_at, not_after, deadline,
         authority, mac, status, attempts, reason, ended, applied, advice, corrected,
         last_attempt, report, version
     FROM job, n";

#[tokio::test]
async fn ten_thousand_jobs_that_are_due_at_once_end_in_a_few_rounds() {
    let world = World::new().await;
    let [machine] = world.machines().await;
    let task = world.reset(&[&machine.instance]).await.unwrap();
    world.forge(MANY).await;
    world.clock.advance(120);
    let mut ended = Vec::new();
    while let count @ 1.. = end_overdue_jobs(&*world.api.store).await.unwrap() {
        ended.push(count);
    }
    assert_eq!(ended, [2_000, 2_000, 2_000, 2_000, 2_000, 1]);
    let jobs = world.result(task).await.jobs;
    assert!(jobs.iter().all(|job| job.state.status() == JobStatus::Failed));
    assert!(scrub(&*world.api.store).await.unwrap());
}

#[tokio::test]
async fn a_job_whose_row_was_damaged_does_not_keep_the_others_open() {
    let world = World::new().await;
    let [damaged, whole] = world.machines().await;
    world.reset(&[&damaged.instance]).await.unwrap();
    let task = world.reset(&[&whole.instance]).await.unwrap();
    world.forge("UPDATE job SET verb = 99 WHERE number = 1").await;
    world.clock.advance(120);
    assert_eq!(end_overdue_jobs(&*world.api.store).await.unwrap(), 1);
    assert_eq!(world.job(task).await.state.status(), JobStatus::Failed);
}

#[tokio::test]
async fn a_job_that_would_come_too_late_is_not_sent_and_its_end_is_certain() {
    let world = World::new().await;
    let [machine] = world.machines().await;
    let task = world.reset(&[&machine.instance]).await.unwrap();
    world.clock.advance(111);
    assert!(lease::renew(&world.gateway, GATEWAY).await.unwrap());
    let all = || Deliverable::Devices(vec![machine.instance.clone()]);
    assert!(deliver(&world.gateway, GATEWAY, all()).await.unwrap().is_empty());
    world.clock.advance(9);
    assert_eq!(end_overdue_jobs(&*world.api.store).await.unwrap(), 1);
    let JobState::Failed { reason, .. } = world.job(task).await.state else { panic!("it ended") };
    assert_eq!(reason, Reason::NotDelivered);
}

#[tokio::test]
async fn what_has_served_its_time_is_forgotten_and_nothing_before() {
    let world = World::new().await;
    let [machine] = world.machines().await;
    world.reset(&[&machine.instance]).await.unwrap();
    let store = &*world.api.store;
    assert!(lease::renew(&world.gateway, OTHER_GATEWAY).await.unwrap());
    world.clock.advance(599);
    assert_eq!(forget_replays(store).await.unwrap(), 0);
    world.clock.advance(1);
    // The token's and the reset's.
    assert_eq!(forget_replays(store).await.unwrap(), 2);
    assert_eq!(forget_gateways(store).await.unwrap(), 0);
    world.clock.advance(Span::from_secs(86_400).as_secs());
    // The device was last connected to the other one.
    assert_eq!(forget_gateways(store).await.unwrap(), 1);
    let instances = vec![machine.instance.clone()];
    let query = opencpm_operations::row::DeviceQuery { instances, limit: 1, ..Default::default() };
    let (_, page) = store.devices(&query).await.unwrap();
    let opencpm_operations::row::Connection::Bound { binding, .. } = page.items[0].connection
    else {
        panic!("{page:?}")
    };
    assert_eq!(binding.gateway, GATEWAY);
}

/// Its dates would be signed into the job, and the machine would take them for the time.
#[tokio::test]
async fn a_node_whose_clock_is_wrong_accepts_nothing_and_says_why() {
    let mut world = World::new().await;
    let [machine] = world.machines().await;
    world.move_clock_of_the_node(Span::from_secs(5));
    world.reset(&[&machine.instance]).await.unwrap();
    machine.obey(&world, &[]).await;
    world.move_clock_of_the_node(Span::from_secs(600));
    let refusal = world.reset(&[&machine.instance]).await.unwrap_err();
    assert_eq!(refusal.condition, Condition::StoreUnavailable);
    assert!(refusal.message.contains("clock"), "{}", refusal.message);
    assert!(world.api.store.open_jobs(&[machine.instance]).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_gateway_whose_clock_is_wrong_delivers_in_time_and_again_in_time() {
    let mut world = World::new().await;
    let [machine] = world.machines().await;
    world.move_clock_of_the_gateway(Span::from_secs(600));
    world.reset(&[&machine.instance]).await.unwrap();
    let due = Deliverable::NotAttemptedFor(Span::from_secs(20));
    let sent = async || deliver(&world.gateway, GATEWAY, due.clone()).await.unwrap().len();
    assert_eq!((sent().await, sent().await), (1, 0));
    world.clock.advance(20);
    assert_eq!(sent().await, 1);
}

#[tokio::test]
async fn tasks_are_forgotten_after_their_time_a_few_hundred_rows_at_once() {
    let world = World::new().await;
    let [machine] = world.machines().await;
    let day = Span::from_secs(86_400);
    let store = &*world.api.store;
    let old = world.reset(&[&machine.instance]).await.unwrap();
    world.forge(MANY).await;
    world.forge(ENDED).await;
    world.clock.advance(day.as_secs());
    let forgotten = async || forget_tasks(store, day).await.unwrap();
    // The newest task stays, however old it is.
    assert_eq!(forgotten().await, 0);
    world.forge(NEWER).await;
    let mut rounds = Vec::new();
    while let rows @ 1.. = forgotten().await {
        assert_eq!(store.task(old).await.unwrap(), None);
        rounds.push(rows);
    }
    assert_eq!(rounds.iter().sum::<u64>(), 1 + 10_001 + 1);
    assert_eq!(rounds.iter().max(), Some(&500));
}

/// Ends every job.
const ENDED: &str = "UPDATE job SET status = 2, reason = 1, ended = deadline";

/// A task of a later moment, without a job.
const NEWER: &str = "INSERT INTO task (id, account, action, uin, created, deadline)
     SELECT id + 1, account, action, uin, created + 1, deadline + 1 FROM task";
