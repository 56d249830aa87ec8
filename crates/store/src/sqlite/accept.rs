//! Acceptance: a task and its jobs, all or nothing.

use std::sync::Arc;

use opencpm_domain::{DeviceStatus, InstanceId, OperateStatus, to_hex};
use opencpm_operations::port::StoreError;
use opencpm_operations::row::{Acceptance, FirstUse, NewJob, NewTask};
use serde::Serialize;
use sqlx::query;

use super::column::{json_of, number, read, time};
use super::device::raise_sequences;
use super::replay::remember;
use super::scope::{self, within};
use super::session::Session;
use super::writer::Outcome;

pub(super) async fn accept(
    session: &mut Session,
    task: Arc<NewTask>,
) -> Result<Outcome<Acceptance>, StoreError> {
    match remember(session, task.unique.as_ref(), Some(task.task)).await? {
        None => {}
        Some(FirstUse::Change) => return Ok(Outcome::Undo(Acceptance::Replayed)),
        Some(FirstUse::Task(task)) => return Ok(Outcome::Undo(Acceptance::AcceptedBefore(task))),
    }
    if !insert_task(session, &task).await? {
        return Ok(Outcome::Undo(Acceptance::IdTaken));
    }
    let jobs = json_of(task.jobs.iter().map(JobLine::new))?;
    let changed = changed_devices(session, &task, &jobs).await?;
    if !changed.is_empty() {
        return Ok(Outcome::Undo(Acceptance::Changed(changed)));
    }
    insert_jobs(session, &task, &jobs).await?;
    insert_sealed(session, &jobs).await?;
    raise_sequences(session, task.jobs.iter().map(|job| (&job.instance, job.sequence))).await?;
    Ok(Outcome::Keep(Acceptance::Accepted))
}

async fn insert_task(session: &mut Session, task: &NewTask) -> Result<bool, StoreError> {
    let insert = query(
        "INSERT INTO task (id, account, action, uin, created, deadline)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
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

/// Devices of which something is not as the sealing relied on.
async fn changed_devices(
    session: &mut Session,
    task: &NewTask,
    jobs: &Arc<str>,
) -> Result<Vec<InstanceId>, StoreError> {
    let own = task.within.as_ref().map(scope::lines).transpose()?;
    let select = query(concat!(
        "SELECT job.value ->> 'instance' AS instance
         FROM json_each(?1) AS job LEFT JOIN device
             ON device.instance = job.value ->> 'instance'
            AND device.account = ?2
            AND device.device_status = ?3
            AND device.operate_status = ?4
            AND NOT device.retired
            AND NOT device.quarantined
            AND device.identity_generation = job.value ->> 'identity_generation'
            AND device.sealing_generation = job.value ->> 'sealing_generation'
            AND device.gateway = unhex(job.value ->> 'gateway')
            AND device.epoch = job.value ->> 'epoch'
            AND device.highest_sequence = job.value ->> 'highest_sequence'
            AND NOT EXISTS (SELECT 1 FROM job AS open
                            WHERE open.instance = device.instance AND open.status = 4)
            AND (?5 IS NULL OR ",
        within!("?5"),
        ") WHERE device.instance IS NULL ORDER BY job.key",
    ));
    let select = select
        .bind(Arc::clone(jobs))
        .bind(number(task.account.get()))
        .bind(DeviceStatus::InOperation.number())
        .bind(OperateStatus::Running.number())
        .bind(own);
    session.rows(select).await?.iter().map(|row| read(row, "instance")).collect()
}

async fn insert_jobs(
    session: &mut Session,
    task: &NewTask,
    jobs: &Arc<str>,
) -> Result<(), StoreError> {
    let insert = query(
        "INSERT INTO job (id, task, position, devices, instance, account, created, sequence,
             identity_generation, sealing_generation, verb, issued_at, not_after, deadline,
             authority, mac, status, attempts, corrected, version)
         SELECT unhex(value ->> 'job'), ?2, key, json_array_length(?1), value ->> 'instance', ?3, ?4,
             value ->> 'sequence', value ->> 'identity_generation',
             value ->> 'sealing_generation', value ->> 'verb', value ->> 'issued_at',
             value ->> 'not_after', ?5, unhex(value ->> 'authority'), unhex(value ->> 'mac'),
             4, 0, 0, 1
         FROM json_each(?1) ORDER BY key",
    );
    let insert = insert
        .bind(Arc::clone(jobs))
        .bind(number(task.task.get()))
        .bind(number(task.account.get()))
        .bind(time(task.created))
        .bind(time(task.deadline));
    session.run(insert).await?;
    Ok(())
}

async fn insert_sealed(session: &mut Session, jobs: &Arc<str>) -> Result<(), StoreError> {
    let insert = query(
        "INSERT INTO sealed (job, enc, ciphertext)
         SELECT job.number, unhex(new.value ->> 'enc'), unhex(new.value ->> 'ciphertext')
         FROM json_each(?1) AS new JOIN job ON job.id = unhex(new.value ->> 'job')
         ORDER BY new.key",
    );
    session.run(insert.bind(Arc::clone(jobs))).await?;
    Ok(())
}

#[derive(Serialize)]
struct JobLine<'a> {
    job: String,
    instance: &'a str,
    sequence: i64,
    identity_generation: u32,
    sealing_generation: u32,
    verb: u8,
    issued_at: i64,
    not_after: i64,
    authority: String,
    enc: String,
    ciphertext: String,
    mac: String,
    gateway: String,
    epoch: i64,
    highest_sequence: i64,
}

impl<'a> JobLine<'a> {
    fn new(new: &'a NewJob) -> Self {
        Self {
            job: to_hex(new.job.as_bytes()),
            instance: new.instance.as_str(),
            sequence: number(new.sequence.get()),
            identity_generation: new.identity_generation.get(),
            sealing_generation: new.sealing_generation.get(),
            verb: new.verb.number(),
            issued_at: time(new.issued_at),
            not_after: time(new.not_after),
            authority: to_hex(new.authority.as_bytes()),
            enc: to_hex(&new.sealed.enc),
            ciphertext: to_hex(&new.sealed.ciphertext),
            mac: to_hex(&new.mac),
            gateway: to_hex(new.expected.binding.gateway.as_bytes()),
            epoch: number(new.expected.binding.epoch),
            highest_sequence: number(new.expected.highest_sequence.get()),
        }
    }
}
