//! Tasks, jobs and the operation log, as they are read.

use opencpm_domain::{Advice, GatewayId, InstanceId, JobId, JobState, TaskId, Timestamp, to_hex};
use opencpm_operations::port::{Deliverable, DeliverableJob, StoreError};
use opencpm_operations::row::{JobRow, LogEntry, LogQuery, Page, TaskRow};
use opencpm_protocol::seal::SealedJob;

use super::columns::columns;
use crate::column::{number, read, read_optional, time};
use crate::engine::When;
use crate::row::Row;
use crate::session::Session;
use crate::statement::{each, json, query};

/// Jobs; conditions follow.
macro_rules! select_job {
    ($conditions:literal) => {
        concat!("SELECT ", columns!(job), " FROM job ", $conditions)
    };
    ($sqlite:literal, $postgres:literal) => {
        each(select_job!($sqlite), select_job!($postgres))
    };
}

pub(crate) async fn task(
    session: &mut Session,
    task: TaskId,
) -> Result<Option<(TaskRow, Vec<JobRow>)>, StoreError> {
    let select = query(
        "SELECT id AS task, account, action, uin, created, deadline FROM task
         WHERE id = $1 AND forgotten = 0",
    );
    let Some(row) = session.row(select.bind(number(task.get()))).await? else { return Ok(None) };
    let select = query(select_job!("WHERE task = $1 ORDER BY position"));
    let jobs = session.read_each(select.bind(number(task.get())), |row| load_job(&row)).await?;
    Ok(Some((load_task(&row)?, jobs)))
}

pub(crate) async fn log(
    session: &mut Session,
    wanted: &LogQuery,
) -> Result<Page<LogEntry>, StoreError> {
    macro_rules! matching {
        () => {
            "FROM job WHERE job.instance = $1 AND job.created >= $2 AND job.created < $3
                 AND job.account = $4"
        };
    }
    let filter = |sql: &'static str| {
        query(sql)
            .bind(wanted.instance.as_str())
            .bind(time(wanted.from))
            .bind(time(wanted.before))
            .bind(number(wanted.account.get()))
    };
    let total = session.row(filter(concat!("SELECT count(*) AS total ", matching!()))).await?;
    let total = total.ok_or(StoreError::Corrupt("an aggregate without a row"))?;
    // The job repeats its task's account, start and deadline.
    let page = filter(concat!(
        "SELECT ",
        columns!(job),
        ", (SELECT action FROM task WHERE task.id = job.task) AS action,
             (SELECT uin FROM task WHERE task.id = job.task) AS uin ",
        matching!(),
        " ORDER BY job.created DESC, job.number DESC LIMIT $5 OFFSET $6"
    ));
    let page = page.bind(number(wanted.limit)).bind(number(wanted.offset));
    let rows = session.rows(page).await?;
    let entry = |row| Ok(LogEntry { task: load_task(row)?, job: load_job(row)? });
    Ok(Page {
        total: read(&total, "total")?,
        items: rows.iter().map(entry).collect::<Result<_, StoreError>>()?,
    })
}

pub(crate) async fn jobs(
    session: &mut Session,
    jobs: &[JobId],
    when: When,
) -> Result<(Timestamp, Vec<JobRow>), StoreError> {
    let now = when.now(session).await?;
    let select = query(select_job!(
        "WHERE id IN (SELECT unhex(value) FROM json_each($1))",
        "WHERE id IN (SELECT decode(value, 'hex')
                      FROM json_array_elements_text($1::json) AS line (value))"
    ));
    Ok((now, load_jobs(&session.rows(select.bind(json(&hex(jobs))?)).await?)?))
}

pub(crate) async fn open_jobs(
    session: &mut Session,
    instances: &[InstanceId],
) -> Result<Vec<JobRow>, StoreError> {
    let ids: Vec<_> = instances.iter().map(InstanceId::as_str).collect();
    let select = query(select_job!(
        "WHERE status = 4 AND instance IN (SELECT value FROM json_each($1))",
        "WHERE status = 4 AND instance IN (
             SELECT value FROM json_array_elements_text($1::json) AS line (value))"
    ));
    load_jobs(&session.rows(select.bind(json(&ids)?)).await?)
}

pub(crate) async fn later_jobs(
    session: &mut Session,
    jobs: &[JobId],
) -> Result<Vec<(JobId, JobState)>, StoreError> {
    let select = query(each(
        "SELECT earlier.id AS earlier, job.status, job.attempts, job.reason, job.ended, job.applied,
             job.advice, job.corrected
         FROM (SELECT DISTINCT unhex(value) AS id FROM json_each($1)) AS asked
         JOIN job AS earlier ON earlier.id = asked.id
         JOIN job ON job.instance = earlier.instance AND job.sequence > earlier.sequence
         ORDER BY earlier.number, job.sequence",
        "SELECT earlier.id AS earlier, job.status, job.attempts, job.reason, job.ended, job.applied,
             job.advice, job.corrected
         FROM (SELECT DISTINCT decode(value, 'hex') AS id
               FROM json_array_elements_text($1::json) AS line (value)) AS asked
         JOIN job AS earlier ON earlier.id = asked.id
         JOIN job ON job.instance = earlier.instance AND job.sequence > earlier.sequence
         ORDER BY earlier.number, job.sequence",
    ));
    let rows = session.rows(select.bind(json(&hex(jobs))?)).await?;
    rows.iter().map(|row| Ok((read(row, "earlier")?, load_state(row)?))).collect()
}

pub(crate) async fn deliverable(
    session: &mut Session,
    gateway: GatewayId,
    filter: Deliverable,
    limit: u32,
    when: When,
) -> Result<(Timestamp, Vec<DeliverableJob>), StoreError> {
    let now = when.now(session).await?;
    // First the few jobs, not the gateway's many devices: SQLite keeps the order of a cross join,
    // PostgreSQL that of a subquery with an offset. The sign keeps both from walking through all
    // jobs in order of their numbers.
    macro_rules! deliverable {
        ($sqlite:literal, $postgres:literal) => {
            query(each(
                concat!(
                    "SELECT ",
                    columns!(job),
                    ", sealed.enc, sealed.ciphertext, device.epoch
                     FROM job CROSS JOIN device ON device.instance = job.instance
                     LEFT JOIN sealed ON sealed.job = job.number
                     WHERE job.status = 4 AND device.gateway = $1 AND ",
                    $sqlite,
                    " ORDER BY +job.number LIMIT $3"
                ),
                concat!(
                    "SELECT ",
                    columns!(job),
                    ", sealed.enc, sealed.ciphertext, device.epoch
                     FROM job CROSS JOIN LATERAL (
                         SELECT epoch FROM device
                         WHERE instance = job.instance AND gateway = $1 OFFSET 0) AS device
                     LEFT JOIN sealed ON sealed.job = job.number
                     WHERE job.status = 4 AND ",
                    $postgres,
                    " ORDER BY +job.number LIMIT $3"
                ),
            ))
        };
    }
    let select = match filter {
        Deliverable::Jobs(jobs) => deliverable!(
            "job.id IN (SELECT unhex(value) FROM json_each($2))",
            "job.id IN (SELECT decode(value, 'hex')
                        FROM json_array_elements_text($2::json) AS line (value))"
        )
        .bind(gateway.as_bytes().as_slice())
        .bind(json(&hex(&jobs))?),
        Deliverable::Devices(devices) => {
            let ids: Vec<_> = devices.iter().map(InstanceId::as_str).collect();
            deliverable!(
                "job.instance IN (SELECT value FROM json_each($2))",
                "job.instance IN (SELECT value
                                  FROM json_array_elements_text($2::json) AS line (value))"
            )
            .bind(gateway.as_bytes().as_slice())
            .bind(json(&ids)?)
        }
        Deliverable::NotAttemptedFor(span) => deliverable!(
            "coalesce(job.last_attempt, 0) <= $2",
            "coalesce(job.last_attempt, 0) <= $2"
        )
        .bind(gateway.as_bytes().as_slice())
        .bind(time(now - span)),
    };
    let rows = session.rows(select.bind(limit)).await?;
    Ok((now, readable(&rows, load_deliverable)))
}

pub(crate) async fn overdue(
    session: &mut Session,
    when: When,
    limit: u32,
) -> Result<(Timestamp, Vec<JobRow>), StoreError> {
    let now = when.now(session).await?;
    let select = query(select_job!(
        "WHERE status = 4 AND deadline <= $1 ORDER BY deadline, number LIMIT $2"
    ));
    let rows = session.rows(select.bind(time(now)).bind(limit)).await?;
    Ok((now, readable(&rows, load_job)))
}

/// The jobs that can be read. One that cannot is one device's trouble; the others go on.
fn readable<T>(rows: &[Row], load: impl Fn(&Row) -> Result<T, StoreError>) -> Vec<T> {
    let load = |row| match load(row) {
        Ok(job) => Some(job),
        Err(error) => {
            let job = read::<JobId>(row, "id").ok().map(tracing::field::display);
            tracing::error!(job, error = &error as &dyn std::error::Error, "a job is left out");
            None
        }
    };
    rows.iter().filter_map(load).collect()
}

fn hex(jobs: &[JobId]) -> Vec<String> {
    jobs.iter().map(|job| to_hex(job.as_bytes())).collect()
}

fn load_task(row: &Row) -> Result<TaskRow, StoreError> {
    Ok(TaskRow {
        task: read(row, "task")?,
        account: read(row, "account")?,
        action: read(row, "action")?,
        uin: read(row, "uin")?,
        created: read(row, "created")?,
        deadline: read(row, "deadline")?,
    })
}

fn load_jobs(rows: &[Row]) -> Result<Vec<JobRow>, StoreError> {
    rows.iter().map(load_job).collect()
}

fn load_deliverable(row: &Row) -> Result<DeliverableJob, StoreError> {
    let sealed = SealedJob { enc: read(row, "enc")?, ciphertext: read(row, "ciphertext")? };
    Ok(DeliverableJob {
        job: JobRow { sealed: Some(sealed), ..load_job(row)? },
        epoch: read(row, "epoch")?,
    })
}

fn load_job(row: &Row) -> Result<JobRow, StoreError> {
    Ok(JobRow {
        number: read(row, "number")?,
        job: read(row, "id")?,
        task: read(row, "task")?,
        devices: read(row, "devices")?,
        instance: read(row, "instance")?,
        account: read(row, "account")?,
        sequence: read(row, "sequence")?,
        identity_generation: read(row, "identity_generation")?,
        sealing_generation: read(row, "sealing_generation")?,
        verb: read(row, "verb")?,
        issued_at: read(row, "issued_at")?,
        not_after: read(row, "not_after")?,
        deadline: read(row, "deadline")?,
        authority: read(row, "authority")?,
        sealed: None,
        state: load_state(row)?,
        report: read_optional(row, "report")?,
        mac: read(row, "mac")?,
        version: read(row, "version")?,
    })
}

fn load_state(row: &Row) -> Result<JobState, StoreError> {
    let attempts = read(row, "attempts")?;
    match (read::<u8>(row, "status")?, attempts) {
        (4, 0) => Ok(JobState::Ready),
        (4, attempts) => Ok(JobState::Attempted { attempts }),
        (1, attempts) => Ok(JobState::Succeeded {
            attempts,
            ended: read(row, "ended")?,
            applied: read(row, "applied")?,
            advice: load_advice(row)?,
            corrected: read(row, "corrected")?,
        }),
        (2, attempts) => Ok(JobState::Failed {
            attempts,
            ended: read(row, "ended")?,
            reason: read(row, "reason")?,
            corrected: read(row, "corrected")?,
        }),
        _ => Err(StoreError::Corrupt("status")),
    }
}

fn load_advice(row: &Row) -> Result<Vec<Advice>, StoreError> {
    let numbers: Option<String> = read_optional(row, "advice")?;
    let numbers = numbers.as_deref().map(serde_json::from_str::<Vec<u16>>);
    let numbers = numbers.transpose().map_err(|_| StoreError::Corrupt("advice"))?;
    let advice = numbers.unwrap_or_default().into_iter().map(Advice::from_number);
    advice.collect::<Option<_>>().ok_or(StoreError::Corrupt("advice"))
}
