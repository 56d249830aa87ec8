//! A request is accepted with all of its devices, or nothing of it is there.

use std::collections::BTreeSet;
use std::sync::Arc;

use opencpm_domain::{DeviceStatus, Generation, InstanceId, JobState, OperateStatus, Sequence};
use opencpm_operations::port::{Administered, Change};
use opencpm_operations::row::{Acceptance, AttributeChanges, DeviceScope, FirstUse, NewTask, Tag};

use super::world::{
    GATEWAY, World, app, fingerprint, fleet, hello, id, new_task, nonce, span, tag_filter,
};

pub(crate) async fn a_batch_is_written_with_all_of_its_jobs(world: &mut World) {
    let ids = world.devices(&["cpm-1", "cpm-2"]).await;
    let new = world.task(100, &ids).await;
    assert_eq!(world.store.accept(new.clone().into()).await.unwrap(), Acceptance::Accepted);
    let (task, jobs) = world.store.task(new.task).await.unwrap().unwrap();
    assert_eq!((task.account, task.action.as_str()), (app(1), "resetPasswd"));
    assert_eq!((task.created, task.deadline), (new.created, new.deadline));
    for (job, new) in jobs.iter().zip(&new.jobs) {
        assert_eq!((job.job, &job.instance, job.sequence), (new.job, &new.instance, new.sequence));
        assert_eq!((job.authority, job.mac, job.verb), (new.authority, new.mac, new.verb));
        assert_eq!((job.issued_at, job.not_after), (new.issued_at, new.not_after));
        assert_eq!((job.deadline, job.account), (task.deadline, task.account));
        assert_eq!((&job.state, &job.sealed), (&JobState::Ready, &None));
    }
    assert_eq!(jobs.len(), 2);
    let candidates = world.store.reset_candidates(&ids).await.unwrap();
    assert_eq!(candidates.last_task, Some(new.task));
    let busy = |c: &_| matches!(c, OperateStatus::ResettingPassword);
    assert!(candidates.devices.iter().all(|device| busy(&device.operate_status)));
}

pub(crate) async fn a_changed_device_refuses_the_whole_batch_and_is_named(world: &mut World) {
    let ids = world.devices(&["cpm-1", "cpm-2", "cpm-3"]).await;
    let mut new = world.task(100, &ids).await;
    new.unique = Some(nonce(1, world.now() + span(600)));
    world.store.bind(GATEWAY, vec![hello(&ids[1])]).await.unwrap();
    let refused = world.store.accept(new.into()).await.unwrap();
    assert_eq!(refused, Acceptance::Changed(vec![ids[1].clone()]));
    assert!(world.jobs(100).await.is_empty());
    assert_eq!(world.device(&ids[0]).await.highest_sequence, Sequence::default());
    world.accept(100, &ids).await;
}

pub(crate) async fn every_condition_of_a_device_is_checked_again(world: &mut World) {
    type Spoil = fn(&mut NewTask);
    let wrong_expectations: [Spoil; 6] = [
        |task| task.account = app(2),
        |task| task.jobs[0].identity_generation = Generation::new(2).unwrap(),
        |task| task.jobs[0].sealing_generation = Generation::new(2).unwrap(),
        |task| task.jobs[0].expected.highest_sequence = Sequence::new(5),
        |task| task.jobs[0].expected.binding.epoch += 1,
        |task| task.jobs[0].instance = id("cpm-unknown"),
    ];
    let ids = world.devices(&["cpm-1"]).await;
    world.administer(Change::CreateAccount(super::world::account(2))).await;
    for spoil in wrong_expectations {
        let mut task = world.task(100, &ids).await;
        spoil(&mut task);
        let instance = task.jobs[0].instance.clone();
        let refused = world.store.accept(task.into()).await.unwrap();
        assert_eq!(refused, Acceptance::Changed(vec![instance]));
    }
    changed_by_an_administrator(world, &ids[0]).await;
}

async fn changed_by_an_administrator(world: &World, instance: &InstanceId) {
    let refused = Acceptance::Changed(vec![instance.clone()]);
    let task = world.task(100, std::slice::from_ref(instance)).await;
    let running = world.device(instance).await.attributes;
    let mut isolated = running.clone();
    isolated.device_status = DeviceStatus::Isolated;
    let mut rebooting = running.clone();
    rebooting.operate_status = OperateStatus::Rebooting;
    for attributes in [isolated, rebooting] {
        let change = Change::ModifyAttributes(instance.clone(), Box::new(attributes.into()));
        world.administer(change).await;
        assert_eq!(world.store.accept(task.clone().into()).await.unwrap(), refused);
    }
    world.administer(Change::ModifyAttributes(instance.clone(), Box::new(running.into()))).await;
    let mut authority = world.device(instance).await.authority;
    authority.quarantined = true;
    let change = Change::ModifyAuthority { authority, signature: [1; 64], jobs: vec![] };
    assert_eq!(world.administer(change).await, Administered::Done);
    world.store.bind(GATEWAY, vec![hello(instance)]).await.unwrap();
    let task = world.task(100, std::slice::from_ref(instance)).await;
    assert_eq!(world.store.accept(task.into()).await.unwrap(), refused);
}

pub(crate) async fn a_device_that_lost_its_tag_meanwhile_is_named(world: &mut World) {
    let ids = world.devices(&["cpm-1", "cpm-2"]).await;
    let tags = |tags: &[(&str, &str)]| {
        let tags =
            tags.iter().map(|(k, v)| Tag { key: (*k).into(), value: (*v).into(), mac: None });
        let changes = AttributeChanges { tags: Some(tags.collect()), ..<_>::default() };
        Change::ModifyAttributes(ids[1].clone(), Box::new(changes))
    };
    let mut task = world.task(100, &ids).await;
    task.within = Some(DeviceScope {
        instances: [ids[0].clone()].into(),
        tags: vec![tag_filter("role", &["db"]), tag_filter("ours", &[])],
    });
    for outside in [tags(&[]), tags(&[("role", "web"), ("db", "role")])] {
        world.administer(outside).await;
        let refused = world.store.accept(task.clone().into()).await.unwrap();
        assert_eq!(refused, Acceptance::Changed(vec![ids[1].clone()]));
    }
    world.administer(tags(&[("role", "web"), ("ours", "yes")])).await;
    assert_eq!(world.store.accept(task.into()).await.unwrap(), Acceptance::Accepted);
}

pub(crate) async fn a_device_has_one_open_job_even_when_many_ask_at_once(world: &mut World) {
    let ids = world.devices(&["cpm-1", "cpm-2"]).await;
    let mut asking = Vec::new();
    for number in 100..150 {
        let task = world.task(number, &ids).await;
        let store = Arc::clone(&world.store);
        asking.push(tokio::spawn(async move { store.accept(task.into()).await.unwrap() }));
    }
    let mut accepted = 0;
    for answer in asking {
        match answer.await.unwrap() {
            Acceptance::Accepted => accepted += 1,
            refused => assert_eq!(refused, Acceptance::Changed(ids.clone())),
        }
    }
    assert_eq!(accepted, 1);
}

pub(crate) async fn a_device_can_be_reset_again_after_its_job_ended(world: &mut World) {
    let ids = world.devices(&["cpm-1"]).await;
    let first = world.accept(100, &ids).await;
    let while_open = world.task(101, &ids).await;
    assert_eq!(
        world.store.accept(while_open.into()).await.unwrap(),
        Acceptance::Changed(ids.clone())
    );
    world.succeed(&first[0]).await;
    let second = world.accept(101, &ids).await;
    assert!(second[0].sequence > first[0].sequence && second[0].number > first[0].number);
}

pub(crate) async fn a_nonce_is_used_once(world: &mut World) {
    let ids = world.devices(&["cpm-1", "cpm-2"]).await;
    let used = nonce(u64::MAX, world.now() + span(600));
    let mut first = world.task(100, &ids[..1]).await;
    first.unique = Some(used.clone());
    assert_eq!(world.store.first_use(&used).await.unwrap(), None);
    assert_eq!(world.store.accept(first.into()).await.unwrap(), Acceptance::Accepted);
    assert_eq!(world.store.first_use(&used).await.unwrap(), Some(FirstUse::Change));
    let mut again = world.task(101, &ids[1..]).await;
    again.unique = Some(used.clone());
    assert_eq!(world.store.accept(again.clone().into()).await.unwrap(), Acceptance::Replayed);
    assert!(world.jobs(101).await.is_empty());
    again.unique = Some(nonce(u64::MAX - 1, world.now() + span(600)));
    assert_eq!(world.store.accept(again.into()).await.unwrap(), Acceptance::Accepted);
}

pub(crate) async fn a_nonce_of_a_refused_request_may_be_used_again(world: &mut World) {
    let ids = world.devices(&["cpm-1"]).await;
    let mut task = world.task(100, &ids).await;
    task.unique = Some(nonce(1, world.now() + span(600)));
    task.jobs[0].expected.binding.epoch += 1;
    assert_eq!(
        world.store.accept(task.clone().into()).await.unwrap(),
        Acceptance::Changed(ids.clone())
    );
    task.jobs[0].expected.binding.epoch -= 1;
    assert_eq!(world.store.accept(task.into()).await.unwrap(), Acceptance::Accepted);
}

pub(crate) async fn a_fingerprint_answers_with_its_first_task(world: &mut World) {
    let ids = world.devices(&["cpm-1", "cpm-2"]).await;
    let fingerprint = fingerprint(1, world.now() + span(600));
    let mut first = world.task(100, &ids[..1]).await;
    first.unique = Some(fingerprint.clone());
    let number = first.task;
    assert_eq!(world.store.accept(first.into()).await.unwrap(), Acceptance::Accepted);
    let mut again = world.task(101, &ids[1..]).await;
    assert_eq!(world.store.first_use(&fingerprint).await.unwrap(), Some(FirstUse::Task(number)));
    again.unique = Some(fingerprint);
    assert_eq!(world.store.accept(again.into()).await.unwrap(), Acceptance::AcceptedBefore(number));
    assert!(world.jobs(101).await.is_empty());
}

pub(crate) async fn a_task_id_is_given_once(world: &mut World) {
    let ids = world.devices(&["cpm-1", "cpm-2"]).await;
    world.accept(100, &ids[..1]).await;
    let mut task = world.task(100, &ids[1..]).await;
    task.jobs[0].job = opencpm_domain::JobId::from_bytes([9; 16]);
    task.unique = Some(nonce(1, world.now()));
    assert_eq!(world.store.accept(task.clone().into()).await.unwrap(), Acceptance::IdTaken);
    task.task = opencpm_domain::TaskId::new(101).unwrap();
    assert_eq!(world.store.accept(task.into()).await.unwrap(), Acceptance::Accepted);
}

pub(crate) async fn a_refused_request_harms_no_neighbour(world: &mut World) {
    let names: Vec<_> = (0..60).map(|n| format!("cpm-{n}")).collect();
    let ids = world.devices(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let other = world.devices(&["cpm-other"]).await;
    world.accept(99, &other).await;
    let mut tasks = Vec::new();
    for (instance, number) in ids.iter().zip(0u64..) {
        let mut task = world.task(100 + number, std::slice::from_ref(instance)).await;
        match number % 3 {
            // Refused by a condition.
            1 => task.jobs[0].expected.binding.epoch += 1,
            // Fails in the middle: the job id is taken.
            2 => task.jobs[0].job = super::world::job_id(99, 0),
            _ => {}
        }
        tasks.push(task);
    }
    let sent = tasks.into_iter().map(|task| world.store.accept(task.into()));
    let answers = futures_util::future::join_all(sent).await;
    for (answer, number) in answers.into_iter().zip(0u64..) {
        match number % 3 {
            0 => assert_eq!(answer.unwrap(), Acceptance::Accepted),
            1 => assert!(matches!(answer.unwrap(), Acceptance::Changed(_))),
            _ => assert!(answer.is_err()),
        }
        let written = world.jobs(100 + number).await.len();
        assert_eq!(written, usize::from(number % 3 == 0), "task {number}");
    }
}

pub(crate) async fn the_highest_sequence_follows_the_jobs(world: &mut World) {
    let ids = world.devices(&["cpm-1"]).await;
    let jobs = world.accept(100, &ids).await;
    assert_eq!(jobs[0].sequence.get(), world.now().as_micros());
    assert_eq!(world.device(&ids[0]).await.highest_sequence, jobs[0].sequence);
}

pub(crate) async fn a_very_large_batch_is_written(world: &mut World) {
    let ids: Vec<_> = (0..5_000).map(|n| id(&format!("cpm-{n}"))).collect();
    fleet(&world.store, &ids, world.now()).await;
    let task = new_task(&world.store, 100, &ids, world.now()).await;
    assert_eq!(world.store.accept(task.into()).await.unwrap(), Acceptance::Accepted);
    let jobs = world.jobs(100).await;
    assert!(jobs.iter().map(|job| &job.instance).eq(&ids));
    let numbers: BTreeSet<_> = jobs.iter().map(|job| job.number).collect();
    assert_eq!(numbers.len(), ids.len());
}
