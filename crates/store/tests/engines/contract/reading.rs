//! What the store tells of tasks and jobs.

use std::sync::Arc;

use opencpm_domain::{GatewayId, InstanceId, JobId, JobState, TaskId};
use opencpm_operations::port::Deliverable;
use opencpm_operations::row::{LogQuery, Page};

use super::world::{GATEWAY, World, app, hello, id, next, span, succeeded};

pub(crate) async fn a_task_tells_its_jobs_in_the_order_of_the_request(world: &mut World) {
    let ids = world.devices(&["cpm-3", "cpm-1", "cpm-2"]).await;
    let jobs = world.accept(100, &ids).await;
    assert!(jobs.iter().map(|job| &job.instance).eq(&ids));
    let asked = [jobs[2].job, jobs[0].job, JobId::from_bytes([255; 16])];
    let (_, mut found) = world.store.jobs(&asked).await.unwrap();
    found.sort_by_key(|job| job.number);
    assert_eq!(found, [jobs[0].clone(), jobs[2].clone()]);
    assert_eq!(world.store.task(TaskId::new(99).unwrap()).await.unwrap(), None);
}

pub(crate) async fn the_log_is_newest_first_and_of_one_device(world: &mut World) {
    let ids = world.devices(&["cpm-1", "cpm-2"]).await;
    let start = world.now();
    for task in 100..104 {
        for job in world.accept(task, &ids).await {
            world.succeed(&job).await;
        }
        world.clock.advance(60);
    }
    let query = |from: u64, before: u64, offset, limit| LogQuery {
        account: app(1),
        instance: ids[0].clone(),
        from: start + span(from),
        before: start + span(before),
        offset,
        limit,
    };
    let tasks = async |query: LogQuery| {
        let Page { total, items } = world.store.log(&query).await.unwrap();
        assert!(items.iter().all(|entry| entry.job.instance == ids[0]));
        assert!(items.iter().all(|entry| entry.task.task == entry.job.task));
        (total, items.iter().map(|entry| entry.task.task.get()).collect::<Vec<_>>())
    };
    assert_eq!(tasks(query(0, 1000, 0, 10)).await, (4, vec![103, 102, 101, 100]));
    assert_eq!(tasks(query(0, 1000, 1, 2)).await, (4, vec![102, 101]));
    assert_eq!(tasks(query(60, 180, 0, 10)).await, (2, vec![102, 101]));
    let foreign = LogQuery { account: app(2), ..query(0, 1000, 0, 10) };
    assert_eq!(tasks(foreign).await, (0, vec![]));
    let entry = world.store.log(&query(0, 1, 0, 1)).await.unwrap().items.remove(0);
    let (task, jobs) = world.store.task(entry.task.task).await.unwrap().unwrap();
    assert_eq!((entry.task, entry.job), (task, jobs[0].clone()));
}

pub(crate) async fn later_jobs_of_the_same_device_are_found(world: &mut World) {
    let ids = world.devices(&["cpm-1", "cpm-2"]).await;
    let first = world.accept(100, &ids).await;
    world.succeed(&first[0]).await;
    let second = world.accept(101, &ids[..1]).await;
    world.succeed(&second[0]).await;
    world.accept(102, &ids[..1]).await;
    let asked: Vec<_> = first.iter().map(|job| job.job).collect();
    let later = world.store.later_jobs(&asked).await.unwrap();
    let done = succeeded(world.now());
    assert_eq!(later, [(first[0].job, done), (first[0].job, JobState::Ready)]);
    let after_second = world.store.later_jobs(&[second[0].job]).await.unwrap();
    assert_eq!(after_second, [(second[0].job, JobState::Ready)]);
}

pub(crate) async fn open_jobs_of_devices_are_found(world: &mut World) {
    let ids = world.devices(&["cpm-1", "cpm-2", "cpm-3"]).await;
    let jobs = world.accept(100, &ids[..2]).await;
    assert_eq!(world.store.open_jobs(&ids[1..]).await.unwrap(), [jobs[1].clone()]);
    world.succeed(&jobs[1]).await;
    assert_eq!(world.store.open_jobs(&ids).await.unwrap(), [jobs[0].clone()]);
    assert_eq!(world.store.open_jobs(&[]).await.unwrap(), []);
}

pub(crate) async fn overdue_jobs_come_oldest_first_and_limited(world: &mut World) {
    let ids = world.devices(&["cpm-1", "cpm-2", "cpm-3"]).await;
    for (instance, task) in ids.iter().zip(100..) {
        world.accept(task, std::slice::from_ref(instance)).await;
        world.clock.advance(10);
    }
    let start = world.jobs(100).await[0].deadline;
    let store = Arc::clone(&world.store);
    let overdue = async |limit| {
        let (now, jobs) = store.overdue_jobs(limit).await.unwrap();
        (now, jobs.iter().map(|job| job.task.get()).collect::<Vec<_>>())
    };
    assert!(overdue(10).await.1.is_empty());
    world.clock.advance((start + span(15)).distance(world.now()).as_secs());
    assert_eq!(overdue(10).await, (start + span(15), vec![100, 101]));
    assert_eq!(overdue(1).await.1, [100]);
    world.succeed(&world.jobs(100).await[0]).await;
    world.clock.advance(5);
    assert_eq!(overdue(10).await.1, [101, 102]);
}

pub(crate) async fn a_gateway_delivers_to_its_own_devices_only(world: &mut World) {
    let ids = world.devices(&["cpm-1", "cpm-2"]).await;
    let jobs = world.accept(100, &ids).await;
    let other = GatewayId::from_bytes([8; 16]);
    world.store.renew_lease(other, span(10)).await.unwrap();
    world.store.bind(other, vec![hello(&ids[1])]).await.unwrap();
    let all = Deliverable::Jobs(jobs.iter().map(|job| job.job).collect());
    let (now, mine) = world.store.deliverable_jobs(GATEWAY, all.clone(), 10).await.unwrap();
    assert_eq!(now, world.now());
    assert_eq!((mine.len(), mine[0].job.job, mine[0].epoch), (1, jobs[0].job, 1));
    assert_eq!(mine[0].job.sealed.as_ref().unwrap().ciphertext, [4; 80]);
    let (_, others) = world.store.deliverable_jobs(other, all, 10).await.unwrap();
    assert_eq!((others.len(), others[0].job.job, others[0].epoch), (1, jobs[1].job, 2));
}

pub(crate) async fn what_the_queue_lost_is_found_again(world: &mut World) {
    let ids = world.devices(&["cpm-1", "cpm-2", "cpm-3"]).await;
    let jobs = world.accept(100, &ids).await;
    let mut attempt = next(&jobs[1], JobState::Attempted { attempts: 1 });
    attempt.attempted = Some(world.now());
    world.change(vec![attempt]).await;
    let found = async |long, limit| -> Vec<InstanceId> {
        let lost = Deliverable::NotAttemptedFor(span(long));
        let found = world.store.deliverable_jobs(GATEWAY, lost, limit).await.unwrap();
        found.1.into_iter().map(|found| found.job.instance).collect()
    };
    world.clock.advance(19);
    assert_eq!(found(20, 10).await, [ids[0].clone(), ids[2].clone()]);
    world.clock.advance(1);
    assert_eq!(found(20, 10).await, ids);
    assert_eq!(found(20, 2).await, ids[..2]);
}

pub(crate) async fn nothing_is_found_for_nothing(world: &mut World) {
    let store = &world.store;
    let candidates = store.reset_candidates(&[id("cpm-unknown")]).await.unwrap();
    assert_eq!((candidates.last_task, candidates.devices), (None, vec![]));
    assert_eq!(store.jobs(&[]).await.unwrap().1, []);
    assert_eq!(store.device_keys(&[]).await.unwrap(), []);
    assert_eq!(store.change_jobs(vec![], None).await.unwrap(), []);
    assert_eq!(store.bind(GATEWAY, vec![]).await.unwrap(), []);
    store.unbind(GATEWAY, vec![]).await.unwrap();
    let none = Deliverable::Devices(vec![]);
    assert!(store.deliverable_jobs(GATEWAY, none, 10).await.unwrap().1.is_empty());
}
