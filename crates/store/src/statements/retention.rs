//! Tasks and jobs that are older than they are to be kept.

use opencpm_domain::Span;
use opencpm_operations::port::StoreError;

use crate::column::{number, time};
use crate::engine::{Outcome, When};
use crate::session::Session;
use crate::statement::{each, query};

/// Deletes jobs of forgotten tasks, then such tasks without a job, then marks more of them:
/// together at most `limit` rows, so that no acceptance waits long. In this order a task that was
/// begun is finished before the next one.
pub(crate) async fn prune_tasks(
    session: &mut Session,
    when: When,
    ago: Span,
    limit: u32,
) -> Result<Outcome<u64>, StoreError> {
    let created = when.now(session).await? - ago;
    let limit = u64::from(limit);
    // SQLite keeps the order of a cross join: first the few tasks.
    let jobs = query(each(
        "DELETE FROM job WHERE number IN (
             SELECT job.number FROM task CROSS JOIN job ON job.task = task.id
             WHERE task.forgotten = 1 LIMIT $1)",
        "DELETE FROM job WHERE number IN (
             SELECT job.number FROM task JOIN job ON job.task = task.id
             WHERE task.forgotten = 1 LIMIT $1)",
    ));
    let jobs = session.run(jobs.bind(number(limit))).await?;
    let tasks = query(
        "DELETE FROM task WHERE id IN (
             SELECT id FROM task WHERE forgotten = 1
                AND NOT EXISTS (SELECT 1 FROM job WHERE job.task = task.id) LIMIT $1)",
    );
    let tasks = session.run(tasks.bind(number(limit.saturating_sub(jobs)))).await?;
    let left = limit.saturating_sub(jobs + tasks);
    // A job has its task's deadline; the sign has the index of open jobs looked at, not all jobs
    // of a task. The newest task stays: new ids go on above it.
    let mark = query(
        "UPDATE task SET forgotten = 1 WHERE id IN (
             SELECT id FROM task WHERE forgotten = 0 AND created <= $1
                AND id < (SELECT max(id) FROM task)
                AND NOT EXISTS (SELECT 1 FROM job WHERE job.status = 4
                    AND job.deadline = task.deadline AND +job.task = task.id)
             ORDER BY created LIMIT $2)",
    );
    let marked = session.run(mark.bind(time(created)).bind(number(left))).await?;
    Ok(Outcome::Keep(jobs + tasks + marked))
}
