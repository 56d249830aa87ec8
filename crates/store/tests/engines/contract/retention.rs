//! What is older than it is to be kept goes, a few rows at a time, and nothing else does.

use opencpm_domain::{Generation, InstanceId, JobStatus};
use opencpm_operations::row::{LogQuery, NewTask};

use super::world::{World, app, span};

impl World {
    /// Accepts a task and ends its jobs well.
    async fn done(&self, task: u64, ids: &[InstanceId]) {
        for job in self.accept(task, ids).await {
            self.succeed(&job).await;
        }
    }

    /// Forgets what was created by now, so many rows at a time. Returns how many rows each call
    /// touched.
    async fn forget(&self, limit: u32) -> Vec<u64> {
        let mut rounds = Vec::new();
        while let rows @ 1.. = self.store.prune_tasks(span(0), limit).await.unwrap() {
            rounds.push(rows);
        }
        rounds
    }

    async fn log_length(&self, instance: &InstanceId) -> u64 {
        let query = LogQuery {
            account: app(1),
            instance: instance.clone(),
            from: self.now() - span(1_000_000),
            before: self.now() + span(1),
            offset: 0,
            limit: 10,
        };
        self.store.log(&query).await.unwrap().total
    }
}

pub(crate) async fn old_tasks_go_with_their_jobs_and_later_ones_stay(world: &mut World) {
    let ids = world.devices(&["cpm-1", "cpm-2"]).await;
    let keys = [(ids[0].clone(), Generation::FIRST), (ids[1].clone(), Generation::FIRST)];
    let highest = async || world.device(&ids[0]).await.highest_sequence;
    world.done(100, &ids).await;
    let old = world.jobs(100).await;
    world.clock.advance(10);
    world.done(101, &ids).await;
    let before = (highest().await, world.store.device_keys(&keys).await.unwrap());

    assert_eq!(world.store.prune_tasks(span(11), 100).await.unwrap(), 0);
    let mut rows = 0;
    while let more @ 1.. = world.store.prune_tasks(span(10), 100).await.unwrap() {
        rows += more;
    }
    // Marked, two jobs, and the task itself.
    assert_eq!(rows, 4);
    assert_eq!(world.jobs(100).await, []);
    assert_eq!(world.store.jobs(&[old[0].job, old[1].job]).await.unwrap().1, []);
    assert_eq!(world.jobs(101).await.len(), 2);
    assert_eq!(world.log_length(&ids[0]).await, 1);
    // What later jobs and reports are judged by.
    assert_eq!((highest().await, world.store.device_keys(&keys).await.unwrap()), before);
}

pub(crate) async fn a_task_with_an_open_job_stays_until_it_has_ended(world: &mut World) {
    let ids = world.devices(&["cpm-1", "cpm-2", "cpm-3"]).await;
    let jobs = world.accept(100, &ids[..2]).await;
    world.succeed(&jobs[0]).await;
    world.done(101, &ids[2..]).await;
    world.done(102, &ids[2..]).await;
    world.clock.advance(1_000);
    // Of the three, the first has an open job and the last is the newest.
    assert_eq!(world.forget(100).await, [1, 2]);
    assert_eq!((world.jobs(100).await.len(), world.jobs(101).await.len()), (2, 0));
    assert!(world.device(&ids[1]).await.has_open_job);
    world.succeed(&jobs[1]).await;
    assert_eq!(world.forget(100).await, [1, 3]);
    assert_eq!(world.jobs(100).await, []);
}

pub(crate) async fn a_large_task_goes_at_once_and_a_few_rows_at_a_time(world: &mut World) {
    let names: Vec<String> = (0..25).map(|n| format!("cpm-{n}")).collect();
    let ids = world.devices(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    world.done(100, &ids).await;
    world.done(101, &ids[..1]).await;
    assert_eq!(world.store.prune_tasks(span(0), 10).await.unwrap(), 1);
    // Whoever asks sees all of the task or nothing of it.
    assert_eq!(world.jobs(100).await, []);
    assert_eq!(world.store.prune_tasks(span(0), 10).await.unwrap(), 10);
    // Requests are accepted in between, and the machines are free for them.
    world.done(102, &ids[..1]).await;
    assert_eq!(world.forget(10).await.into_iter().max(), Some(10));
    assert_eq!(world.jobs(102).await[0].state.status(), JobStatus::Succeeded);
    assert_eq!(world.log_length(&ids[0]).await, 1);
    assert_eq!(world.log_length(&ids[1]).await, 0);
}

pub(crate) async fn the_newest_task_stays_so_that_no_id_comes_again(world: &mut World) {
    let ids = world.devices(&["cpm-1"]).await;
    world.done(100, &ids).await;
    world.done(101, &ids).await;
    world.clock.advance(1_000_000);
    world.forget(100).await;
    assert_eq!((world.jobs(100).await.len(), world.jobs(101).await.len()), (0, 1));
    let candidates = world.store.reset_candidates(&ids).await.unwrap();
    let NewTask { task, .. } = world.task(101, &ids).await;
    assert_eq!(candidates.last_task, Some(task));
}
