//! How many statements a method needs.

use std::sync::Arc;

use opencpm_domain::{JobId, TaskId};
use opencpm_operations::port::{Clock, Deliverable, Store};
use opencpm_operations::row::{DeviceQuery, LogQuery, NewTask};

use super::world::{
    GATEWAY, HandClock, app, fleet, hello, id, new_task, next, prepare, span, succeeded,
};

/// For each method by its name, with so many devices. `total` tells how many were run so far.
pub(crate) async fn counted(
    store: &Arc<dyn Store>,
    total: impl Fn() -> u64,
    clock: &HandClock,
    number: usize,
) -> Vec<(&'static str, u64)> {
    let now = clock.now();
    prepare(store, now).await;
    let ids: Vec<_> = (0..number).map(|n| id(&format!("cpm-{n}"))).collect();
    fleet(store, &ids, now).await;
    let task: NewTask = new_task(store, 100, &ids, now).await;
    let jobs: Vec<JobId> = task.jobs.iter().map(|job| job.job).collect();
    let mut counts = Vec::new();
    macro_rules! count {
        ($name:literal, $call:expr) => {{
            let before = total();
            let answer = $call.await.unwrap();
            counts.push(($name, total() - before));
            answer
        }};
    }
    count!("reset_candidates", store.reset_candidates(&ids));
    count!("accept", store.accept(task.into()));
    count!("deliverable_jobs", store.deliverable_jobs(GATEWAY, Deliverable::Jobs(jobs), 10_000));
    count!("open_jobs", store.open_jobs(&ids));
    let (_, rows) = count!("task", store.task(TaskId::new(100).unwrap())).unwrap();
    let changes = rows.iter().map(|job| next(job, succeeded(now))).collect();
    assert_eq!(count!("change_jobs", store.change_jobs(changes, Some(GATEWAY))).len(), number);
    let bound = count!("bind", store.bind(GATEWAY, ids.iter().map(hello).collect()));
    count!("unbind", store.unbind(GATEWAY, bound));
    let query = DeviceQuery { instances: ids.clone(), limit: 10_000, ..DeviceQuery::default() };
    assert_eq!(count!("devices", store.devices(&query)).1.items.len(), number);
    let query = LogQuery {
        account: app(1),
        instance: ids[0].clone(),
        from: now,
        before: now + span(1),
        offset: 0,
        limit: 10,
    };
    count!("log", store.log(&query));
    count!("prune_tasks", store.prune_tasks(span(0), 10));
    counts
}
