//! Enrolment: a new device, or a known one with a new identity.

use opencpm_domain::{Generation, Sequence};
use opencpm_operations::port::{Enrolled, Enrolment, StoreError};
use opencpm_operations::row::{Connection, Device, DeviceKey};
use opencpm_protocol::key::VerifyingKey;

use super::account::insert_audit;
use super::device_write::insert_device;
use super::job_change::{change_all, has_open_job};
use crate::column::{number, time};
use crate::engine::Outcome;
use crate::session::Session;
use crate::statement::query;

pub(crate) async fn enrol(
    session: &mut Session,
    enrolment: &Enrolment,
) -> Result<Outcome<Enrolled>, StoreError> {
    if !take_use(session, enrolment).await? {
        return Ok(Outcome::Undo(Enrolled::TokenRefused));
    }
    if !write_device(session, enrolment).await? {
        return Ok(Outcome::Undo(Enrolled::Changed));
    }
    write_key(session, &enrolment.key).await?;
    if !change_all(session, &enrolment.jobs).await?
        || has_open_job(session, &enrolment.authority.instance).await?
    {
        return Ok(Outcome::Undo(Enrolled::Changed));
    }
    insert_audit(session, &enrolment.audit).await?;
    Ok(Outcome::Keep(Enrolled::Done))
}

async fn take_use(session: &mut Session, enrolment: &Enrolment) -> Result<bool, StoreError> {
    let update = query(
        "UPDATE enrolment_token SET uses_left = uses_left - 1
         WHERE hash = $1 AND uses_left > 0 AND expires > $2",
    );
    let update = update.bind(enrolment.token.as_slice()).bind(time(enrolment.now));
    Ok(session.run(update).await? == 1)
}

/// A first identity may come with the device; a further one must follow the one in force.
async fn write_device(session: &mut Session, enrolment: &Enrolment) -> Result<bool, StoreError> {
    let identity = &enrolment.key.identity;
    if key_in_force(session, &identity.key).await? {
        return Ok(false);
    }
    if update_device(session, enrolment).await? {
        return Ok(true);
    }
    if identity.generation != Generation::FIRST {
        return Ok(false);
    }
    insert_device(session, &new_device(enrolment)).await
}

/// Its attributes and the highest sequence stay; the connection is cut.
async fn update_device(session: &mut Session, enrolment: &Enrolment) -> Result<bool, StoreError> {
    let update = query(
        "UPDATE device SET identity_generation = $3, identity_key = $4,
             signature = $7, sealing_generation = $8, sealing_certificate = $9, facts = $10,
             agent_version = $11, gateway = NULL
         WHERE instance = $1 AND account = $2 AND retired = $5 AND quarantined = $6
           AND coalesce(identity_generation, 0) = $3 - 1",
    );
    let (authority, identity) = (&enrolment.authority, &enrolment.key.identity);
    let update = update
        .bind(authority.instance.as_str())
        .bind(number(authority.account.get()))
        .bind(identity.generation.get())
        .bind(identity.key.as_bytes().as_slice())
        .bind(authority.retired)
        .bind(authority.quarantined)
        .bind(enrolment.signature.as_slice())
        .bind(enrolment.sealing.generation.get())
        .bind(enrolment.sealing.certificate.as_slice())
        .bind(enrolment.facts.as_slice())
        .bind(&enrolment.agent_version);
    Ok(session.run(update).await? == 1)
}

fn new_device(enrolment: &Enrolment) -> Device {
    Device {
        authority: enrolment.authority.clone(),
        signature: enrolment.signature,
        attributes: enrolment.attributes.clone(),
        sealing: Some(enrolment.sealing.clone()),
        highest_sequence: Sequence::default(),
        facts: Some(enrolment.facts.clone()),
        agent_version: enrolment.agent_version.clone(),
        last_seen: None,
        connection: Connection::None,
        has_open_job: false,
    }
}

/// Appends the new key; the former one ends when the new one begins.
async fn write_key(session: &mut Session, key: &DeviceKey) -> Result<(), StoreError> {
    let end = query("UPDATE device_key SET until = $2 WHERE instance = $1 AND until IS NULL");
    session.run(end.bind(key.instance.as_str()).bind(time(key.from))).await?;
    let insert = query(
        "INSERT INTO device_key (instance, generation, key, since, until, signature)
         VALUES ($1, $2, $3, $4, $5, $6)",
    );
    let insert = insert
        .bind(key.instance.as_str())
        .bind(key.identity.generation.get())
        .bind(key.identity.key.as_bytes().as_slice())
        .bind(time(key.from))
        .bind(key.until.map(time))
        .bind(key.signature.as_slice());
    session.run(insert).await?;
    Ok(())
}

async fn key_in_force(session: &mut Session, key: &VerifyingKey) -> Result<bool, StoreError> {
    let select = query("SELECT 1 FROM device WHERE identity_key = $1");
    Ok(session.row(select.bind(key.as_bytes().as_slice())).await?.is_some())
}
