//! Administrative changes: what, who did it, and what keeps it from being done twice.

use opencpm_domain::InstanceId;
use opencpm_operations::port::{AdminChange, Administered, Change, StoreError};
use opencpm_operations::row::{
    ApiKey, AttributeChanges, DeviceAuthority, EnrolmentToken, JobChange,
};

use super::account::{
    account_exists, delete_made_by, insert_account, insert_api_key, insert_audit,
    insert_enrolment_token, key_enabled, update_account, update_api_key,
};
use super::device::{device_in_any_account, lock};
use super::device_write::{device_exists, insert_device, update_attributes};
use super::job_change::{change_all, has_open_job};
use super::maintenance;
use super::node;
use super::replay::remember;
use crate::column::number;
use crate::engine::Outcome;
use crate::session::Session;
use crate::statement::query;

pub(crate) async fn administer(
    session: &mut Session,
    change: &AdminChange,
) -> Result<Outcome<Administered>, StoreError> {
    if remember(session, change.unique.as_ref(), None).await?.is_some() {
        return Ok(Outcome::Undo(Administered::Replayed));
    }
    let administered = apply(session, &change.what).await?;
    if administered != Administered::Done {
        return Ok(Outcome::Undo(administered));
    }
    insert_audit(session, &change.audit).await?;
    Ok(Outcome::Keep(Administered::Done))
}

async fn apply(session: &mut Session, change: &Change) -> Result<Administered, StoreError> {
    use Administered::{Exists, Missing};
    match change {
        Change::CreateAccount(account) => {
            Ok(done_or(Exists, insert_account(session, account).await?))
        }
        Change::ModifyAccount { app_id, name, blocked } => {
            let updated = update_account(session, *app_id, name.as_deref(), *blocked).await?;
            Ok(done_or(Missing, updated))
        }
        Change::CreateApiKey(key) => create_key(session, key).await,
        Change::ModifyApiKey(key) => Ok(done_or(Missing, modify_key(session, key).await?)),
        Change::CreateDevice(device) => {
            match account_exists(session, device.authority.account).await? {
                true => Ok(done_or(Exists, insert_device(session, device).await?)),
                false => Ok(Missing),
            }
        }
        Change::ModifyAttributes(instance, changes) => {
            Ok(done_or(Missing, modify_attributes(session, instance, changes).await?))
        }
        Change::ModifyAuthority { authority, signature, jobs } => {
            Ok(done_or(Missing, modify_authority(session, authority, signature, jobs).await?))
        }
        Change::CreateEnrolmentToken(token) => create_token(session, token).await,
        Change::CreateNodeToken(token) => {
            Ok(done_or(Exists, node::insert_token(session, token).await?))
        }
        Change::ModifyNode(changed) => Ok(done_or(Missing, node::update(session, changed).await?)),
        Change::BeginMaintenance(begun) => {
            maintenance::begin(session, begun).await?;
            Ok(Administered::Done)
        }
        Change::EndMaintenance => {
            maintenance::end(session).await?;
            Ok(Administered::Done)
        }
    }
}

fn done_or(otherwise: Administered, done: bool) -> Administered {
    if done { Administered::Done } else { otherwise }
}

/// Read and written in one transaction: what somebody else changed before stays.
async fn modify_attributes(
    session: &mut Session,
    instance: &InstanceId,
    changes: &AttributeChanges,
) -> Result<bool, StoreError> {
    lock(session, [instance.as_str()]).await?;
    let Some(device) = device_in_any_account(session, instance).await? else { return Ok(false) };
    let mut attributes = device.attributes;
    changes.clone().apply(&mut attributes);
    update_attributes(session, instance, &attributes).await
}

async fn create_key(session: &mut Session, key: &ApiKey) -> Result<Administered, StoreError> {
    let maker_enabled = match &key.maker {
        Some(maker) => key_enabled(session, maker).await?,
        None => true,
    };
    if !maker_enabled || !account_exists(session, key.app_id).await? {
        return Ok(Administered::Missing);
    }
    Ok(done_or(Administered::Exists, insert_api_key(session, key).await?))
}

/// What a disabled key made ends with it.
async fn modify_key(session: &mut Session, key: &ApiKey) -> Result<bool, StoreError> {
    if !account_exists(session, key.app_id).await? || !update_api_key(session, key).await? {
        return Ok(false);
    }
    if key.disabled {
        delete_made_by(session, &key.secret_id).await?;
    }
    Ok(true)
}

/// The identity must still be the one that was signed, every job as it was read, and a retired
/// device may not keep an open one.
async fn modify_authority(
    session: &mut Session,
    authority: &DeviceAuthority,
    signature: &[u8; 64],
    jobs: &[JobChange],
) -> Result<bool, StoreError> {
    if !account_exists(session, authority.account).await?
        || !update_authority(session, authority, signature).await?
        || !change_all(session, jobs).await?
    {
        return Ok(false);
    }
    Ok(!(authority.retired && has_open_job(session, &authority.instance).await?))
}

async fn update_authority(
    session: &mut Session,
    authority: &DeviceAuthority,
    signature: &[u8; 64],
) -> Result<bool, StoreError> {
    let update = query(
        "UPDATE device SET account = $2, retired = $3, quarantined = $4, signature = $5,
             gateway = NULL
         WHERE instance = $1 AND identity_generation IS NOT DISTINCT FROM $6
           AND identity_key IS NOT DISTINCT FROM $7",
    );
    let identity = authority.identity.as_ref();
    let update = update
        .bind(authority.instance.as_str())
        .bind(number(authority.account.get()))
        .bind(authority.retired)
        .bind(authority.quarantined)
        .bind(signature.as_slice())
        .bind(identity.map(|identity| identity.generation.get()))
        .bind(identity.map(|identity| identity.key.as_bytes().as_slice()));
    Ok(session.run(update).await? == 1)
}

async fn create_token(
    session: &mut Session,
    token: &EnrolmentToken,
) -> Result<Administered, StoreError> {
    let device_known = match &token.device {
        Some(device) => device_exists(session, device).await?,
        None => true,
    };
    if !device_known || !account_exists(session, token.app_id).await? {
        return Ok(Administered::Missing);
    }
    Ok(done_or(Administered::Exists, insert_enrolment_token(session, token).await?))
}
