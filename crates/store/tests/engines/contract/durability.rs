//! What was answered is on disk.

use opencpm_operations::row::Acceptance;

use super::world::{World, fingerprint, nonce, span};

pub(crate) async fn a_store_that_takes_changes_says_so(world: &mut World) {
    assert_eq!(world.store.check().await.unwrap(), world.now());
    world.reopen().await;
    assert_eq!(world.store.check().await.unwrap(), world.now());
}

pub(crate) async fn what_was_accepted_survives_a_crash(world: &mut World) {
    let ids = world.devices(&["cpm-1", "cpm-2"]).await;
    let jobs = world.accept(100, &ids).await;
    world.crash().await;
    assert_eq!(world.jobs(100).await, jobs);
    assert!(world.device(&ids[0]).await.has_open_job);
    world.succeed(&jobs[0]).await;
    world.crash().await;
    assert!(!world.jobs(100).await[0].state.is_open());
}

pub(crate) async fn a_nonce_is_still_used_after_reopening(world: &mut World) {
    let ids = world.devices(&["cpm-1"]).await;
    let mut task = world.task(100, &ids).await;
    task.unique = Some(nonce(1, world.now() + span(600)));
    assert_eq!(world.store.accept(task.clone().into()).await.unwrap(), Acceptance::Accepted);
    world.reopen().await;
    assert_eq!(world.store.accept(task.clone().into()).await.unwrap(), Acceptance::Replayed);
    world.crash().await;
    assert_eq!(world.store.accept(task.into()).await.unwrap(), Acceptance::Replayed);
}

pub(crate) async fn expired_requests_are_forgotten_and_others_kept(world: &mut World) {
    let ids = world.devices(&["cpm-1", "cpm-2", "cpm-3"]).await;
    let start = world.now();
    let mut tasks = Vec::new();
    for (instance, number) in ids.iter().zip(1u64..) {
        let mut task = world.task(number, std::slice::from_ref(instance)).await;
        let expires = start + span(100 * number);
        let is_even = number.is_multiple_of(2);
        let hash = u8::try_from(number).unwrap();
        task.unique =
            Some(if is_even { fingerprint(hash, expires) } else { nonce(number, expires) });
        assert_eq!(world.store.accept(task.clone().into()).await.unwrap(), Acceptance::Accepted);
        tasks.push(task);
    }
    world.clock.advance(200);
    assert_eq!(world.store.prune_replay(1).await.unwrap(), 1);
    assert_eq!(world.store.prune_replay(3).await.unwrap(), 1);
    assert_eq!(world.store.prune_replay(3).await.unwrap(), 0);
    let last = tasks.pop().unwrap();
    assert_eq!(world.store.accept(last.into()).await.unwrap(), Acceptance::Replayed);
    assert_eq!(world.store.accept(tasks.remove(0).into()).await.unwrap(), Acceptance::IdTaken);
}
