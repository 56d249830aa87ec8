//! Acceptance: a task and its jobs, all or nothing.

use opencpm_domain::{DeviceStatus, InstanceId, OperateStatus, to_hex};
use opencpm_operations::port::StoreError;
use opencpm_operations::row::{Acceptance, FirstUse, NewJob, NewTask};
use serde::Serialize;

use super::replay::remember;
use super::scope::{self, within};
use crate::column::{number, read, time};
use crate::engine::Outcome;
use crate::session::Session;
use crate::statement::{Dialect, each, json_of, query};

pub(crate) async fn accept(
    session: &mut Session,
    task: &NewTask,
) -> Result<Outcome<Acceptance>, StoreError> {
    match remember(session, task.unique.as_ref(), Some(task.task)).await? {
        None => {}
        Some(FirstUse::Change) => return Ok(Outcome::Undo(Acceptance::Replayed)),
        Some(FirstUse::Task(task)) => return Ok(Outcome::Undo(Acceptance::AcceptedBefore(task))),
    }
    if !insert_task(session, task).await? {
        return Ok(Outcome::Undo(Acceptance::IdTaken));
    }
    lay_out(session, task).await?;
    lock_devices(session).await?;
    let changed = changed_devices(session, task).await?;
    if !changed.is_empty() {
        return Ok(Outcome::Undo(Acceptance::Changed(changed)));
    }
    insert_jobs(session, task).await?;
    insert_sealed(session, task).await?;
    raise_sequences(session).await?;
    session.run(query("DELETE FROM incoming")).await?;
    Ok(Outcome::Keep(Acceptance::Accepted))
}

/// Lays the jobs out in a table of this connection, in memory: read from JSON once, not once for
/// each of the statements that need them. It is empty outside of an acceptance.
async fn lay_out(session: &mut Session, task: &NewTask) -> Result<(), StoreError> {
    let table = each(
        "CREATE TEMP TABLE IF NOT EXISTS incoming (
             position INTEGER PRIMARY KEY, id, instance, sequence, identity_generation,
             sealing_generation, verb, issued_at, not_after, authority, enc, ciphertext, mac,
             gateway, epoch, highest_sequence)",
        "CREATE TEMP TABLE IF NOT EXISTS incoming (
             position BIGINT PRIMARY KEY, id BYTEA, instance TEXT COLLATE \"C\", sequence BIGINT,
             identity_generation BIGINT, sealing_generation BIGINT, verb BIGINT, issued_at BIGINT,
             not_after BIGINT, authority BYTEA, enc BYTEA, ciphertext BYTEA, mac BYTEA,
             gateway BYTEA, epoch BIGINT, highest_sequence BIGINT) ON COMMIT DELETE ROWS",
    );
    session.run(query(table)).await?;
    let insert = query(each(
        "INSERT INTO incoming
         SELECT key, unhex(value ->> 0), value ->> 1, value ->> 2, value ->> 3, value ->> 4,
             value ->> 5, value ->> 6, value ->> 7, unhex(value ->> 8), unhex(value ->> 9),
             unhex(value ->> 10), unhex(value ->> 11), unhex(value ->> 12), value ->> 13,
             value ->> 14
         FROM json_each($1)",
        "INSERT INTO incoming
         SELECT place - 1, decode(value ->> 0, 'hex'), value ->> 1, (value ->> 2)::bigint,
             (value ->> 3)::bigint, (value ->> 4)::bigint, (value ->> 5)::bigint,
             (value ->> 6)::bigint, (value ->> 7)::bigint, decode(value ->> 8, 'hex'),
             decode(value ->> 9, 'hex'), decode(value ->> 10, 'hex'), decode(value ->> 11, 'hex'),
             decode(value ->> 12, 'hex'), (value ->> 13)::bigint, (value ->> 14)::bigint
         FROM jsonb_array_elements($1::jsonb) WITH ORDINALITY AS line (value, place)",
    ));
    session.run(insert.bind(json_of(task.jobs.iter().map(line))?)).await?;
    Ok(())
}

/// Whoever else changes some of these devices waits, and waits for them in the same order. SQLite
/// has one writer.
async fn lock_devices(session: &mut Session) -> Result<(), StoreError> {
    if session.dialect() == Dialect::Sqlite {
        return Ok(());
    }
    let lock = "SELECT count(*) FROM (
         SELECT FROM device JOIN incoming USING (instance) ORDER BY device.instance
         FOR NO KEY UPDATE OF device) AS locked";
    session.row(query(lock)).await?;
    Ok(())
}

async fn insert_task(session: &mut Session, task: &NewTask) -> Result<bool, StoreError> {
    let insert = query(
        "INSERT INTO task (id, account, action, uin, created, deadline)
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
    );
    let insert = insert
        .bind(number(task.task.get()))
        .bind(number(task.account.get()))
        .bind(task.action)
        .bind(task.uin.as_str())
        .bind(time(task.created))
        .bind(time(task.deadline));
    Ok(session.run(insert).await? == 1)
}

macro_rules! changed {
    ($dialect:ident) => {
        concat!(
            changed!(@devices $dialect),
            "SELECT new.instance FROM incoming AS new LEFT JOIN device
                 ON device.instance = new.instance
                AND device.account = $1
                AND device.device_status = $2
                AND device.operate_status = $3
                AND NOT device.retired
                AND NOT device.quarantined
                AND device.identity_generation = new.identity_generation
                AND device.sealing_generation = new.sealing_generation
                AND device.gateway = new.gateway
                AND device.epoch = new.epoch
                AND device.highest_sequence = new.highest_sequence
                AND NOT EXISTS (SELECT 1 FROM job AS open
                                WHERE open.instance = device.instance AND open.status = 4)
                AND ($4 IS NULL OR ",
            within!($dialect, "$4"),
            ") WHERE device.instance IS NULL ORDER BY new.position",
        )
    };
    (@devices sqlite) => {
        ""
    };
    // Looked up by their ids, whatever the server believes of the other conditions: with numbers
    // that are old or missing it would rather look at every device of the account.
    (@devices postgres) => {
        "WITH device AS MATERIALIZED (
             SELECT * FROM device WHERE instance = ANY (ARRAY(SELECT instance FROM incoming))) "
    };
}

/// Devices of which something is not as the sealing relied on.
async fn changed_devices(
    session: &mut Session,
    task: &NewTask,
) -> Result<Vec<InstanceId>, StoreError> {
    let own = task.within.as_ref().map(scope::lines).transpose()?;
    let select = query(each(changed!(sqlite), changed!(postgres)));
    let select = select
        .bind(number(task.account.get()))
        .bind(DeviceStatus::InOperation.number())
        .bind(OperateStatus::Running.number())
        .bind(own);
    session.rows(select).await?.iter().map(|row| read(row, "instance")).collect()
}

async fn insert_jobs(session: &mut Session, task: &NewTask) -> Result<(), StoreError> {
    let insert = query(
        "INSERT INTO job (id, task, position, devices, instance, account, created, sequence,
             identity_generation, sealing_generation, verb, issued_at, not_after, deadline,
             authority, mac, status, attempts, corrected, version)
         SELECT id, $1, position, $2, instance, $3, $4, sequence, identity_generation,
             sealing_generation, verb, issued_at, not_after, $5, authority, mac, 4, 0, FALSE, 1
         FROM incoming ORDER BY position",
    );
    let insert = insert
        .bind(number(task.task.get()))
        .bind(number(task.jobs.len() as u64))
        .bind(number(task.account.get()))
        .bind(time(task.created))
        .bind(time(task.deadline));
    session.run(insert).await?;
    Ok(())
}

async fn insert_sealed(session: &mut Session, task: &NewTask) -> Result<(), StoreError> {
    let insert = query(
        "INSERT INTO sealed (job, enc, ciphertext)
         SELECT job.number, new.enc, new.ciphertext FROM incoming AS new
         JOIN job ON job.task = $1 AND job.position = new.position ORDER BY new.position",
    );
    session.run(insert.bind(number(task.task.get()))).await?;
    Ok(())
}

/// A sequence that was given is the highest from now on.
async fn raise_sequences(session: &mut Session) -> Result<(), StoreError> {
    let update = each(
        "UPDATE device SET highest_sequence = max(device.highest_sequence, new.sequence)
         FROM incoming AS new WHERE device.instance = new.instance",
        "UPDATE device SET highest_sequence = greatest(device.highest_sequence, new.sequence)
         FROM incoming AS new WHERE device.instance = new.instance",
    );
    session.run(query(update)).await?;
    Ok(())
}

/// A job in the order of the table's columns.
fn line(new: &NewJob) -> impl Serialize + '_ {
    (
        to_hex(new.job.as_bytes()),
        new.instance.as_str(),
        number(new.sequence.get()),
        new.identity_generation.get(),
        new.sealing_generation.get(),
        new.verb.number(),
        time(new.issued_at),
        time(new.not_after),
        to_hex(new.authority.as_bytes()),
        to_hex(&new.sealed.enc),
        to_hex(&new.sealed.ciphertext),
        to_hex(&new.mac),
        to_hex(new.expected.binding.gateway.as_bytes()),
        number(new.expected.binding.epoch),
        number(new.expected.highest_sequence.get()),
    )
}
