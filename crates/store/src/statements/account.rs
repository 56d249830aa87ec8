//! Accounts, API keys, enrolment tokens and the audit table.

use opencpm_domain::{AppId, SecretId, Span};
use opencpm_operations::port::{FoundKey, StoreError};
use opencpm_operations::row::{Account, ApiKey, AuditEntry, EnrolmentToken, Scope};

use super::columns::columns;
use super::maintenance::load_maintenance;
use super::scope;
use crate::column::{number, read, read_optional, time};
use crate::engine::{Outcome, When};
use crate::row::Row;
use crate::session::Session;
use crate::statement::{Statement, each, query};

pub(crate) async fn api_key(
    session: &mut Session,
    secret_id: &SecretId,
) -> Result<Option<FoundKey>, StoreError> {
    let select = query(concat!(
        "SELECT ",
        columns!(api_key),
        ", account.name, account.blocked,
             maintenance.since AS under_since, maintenance.message AS under_message
         FROM api_key JOIN account USING (app_id) LEFT JOIN maintenance ON TRUE
         WHERE secret_id = $1",
    ));
    let row = session.row(select.bind(secret_id.as_str())).await?;
    row.map(|row| {
        Ok(FoundKey {
            key: load_api_key(&row)?,
            account: load_account(&row)?,
            maintenance: load_maintenance(&row)?,
        })
    })
    .transpose()
}

pub(crate) async fn accounts(session: &mut Session) -> Result<Vec<Account>, StoreError> {
    let select = query("SELECT app_id, name, blocked FROM account ORDER BY app_id");
    session.rows(select).await?.iter().map(load_account).collect()
}

pub(crate) async fn api_keys(
    session: &mut Session,
    account: Option<AppId>,
) -> Result<Vec<ApiKey>, StoreError> {
    let select = query(concat!(
        "SELECT ",
        columns!(api_key),
        " FROM api_key WHERE $1 IS NULL OR app_id = $1 ORDER BY secret_id"
    ));
    let select = select.bind(account.map(|account| number(account.get())));
    session.rows(select).await?.iter().map(load_api_key).collect()
}

pub(crate) async fn enrolment_token(
    session: &mut Session,
    hash: &[u8; 32],
) -> Result<Option<EnrolmentToken>, StoreError> {
    let select = query(
        "SELECT hash, app_id, device, uses_left, expires, mac FROM enrolment_token WHERE hash = $1",
    );
    let row = session.row(select.bind(hash.as_slice())).await?;
    row.as_ref().map(load_enrolment_token).transpose()
}

/// False when the id is taken.
pub(crate) async fn insert_account(
    session: &mut Session,
    account: &Account,
) -> Result<bool, StoreError> {
    let insert = query(
        "INSERT INTO account (app_id, name, blocked) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
    );
    let insert = insert.bind(number(account.app_id.get())).bind(&account.name);
    Ok(session.run(insert.bind(account.blocked)).await? == 1)
}

/// False when there is no such account.
pub(crate) async fn update_account(
    session: &mut Session,
    account: AppId,
    name: Option<&str>,
    blocked: Option<bool>,
) -> Result<bool, StoreError> {
    let update = query(
        "UPDATE account SET name = coalesce($2, name), blocked = coalesce($3, blocked)
         WHERE app_id = $1",
    );
    let update = update.bind(number(account.get())).bind(name);
    Ok(session.run(update.bind(blocked)).await? == 1)
}

/// Whether there is such an account.
pub(crate) async fn account_exists(
    session: &mut Session,
    account: AppId,
) -> Result<bool, StoreError> {
    let select = query("SELECT 1 FROM account WHERE app_id = $1");
    Ok(session.row(select.bind(number(account.get()))).await?.is_some())
}

/// False when the secret id is taken.
pub(crate) async fn insert_api_key(
    session: &mut Session,
    key: &ApiKey,
) -> Result<bool, StoreError> {
    let insert = "INSERT INTO api_key (secret_id, encrypted_secret, app_id, uin, admin, actions,
             token_hash, expires, disabled, created, mac, devices, maker)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT DO NOTHING";
    Ok(session.run(api_key_values(insert, key)?).await? == 1)
}

/// False when there is no such key.
pub(crate) async fn update_api_key(
    session: &mut Session,
    key: &ApiKey,
) -> Result<bool, StoreError> {
    let update = "UPDATE api_key SET encrypted_secret = $2, app_id = $3, uin = $4, admin = $5,
             actions = $6, token_hash = $7, expires = $8, disabled = $9, created = $10, mac = $11,
             devices = $12, maker = $13
         WHERE secret_id = $1";
    Ok(session.run(api_key_values(update, key)?).await? == 1)
}

/// Whether a key may still make others: it is there and enabled.
pub(crate) async fn key_enabled(
    session: &mut Session,
    secret_id: &SecretId,
) -> Result<bool, StoreError> {
    // Nobody disables it until this change is done.
    let select = query(each(
        "SELECT 1 FROM api_key WHERE secret_id = $1 AND NOT disabled",
        "SELECT 1 FROM api_key WHERE secret_id = $1 AND NOT disabled FOR SHARE",
    ));
    Ok(session.row(select.bind(secret_id.as_str())).await?.is_some())
}

/// Forgets the temporary keys that this one made.
pub(crate) async fn delete_made_by(
    session: &mut Session,
    maker: &SecretId,
) -> Result<(), StoreError> {
    session.run(query("DELETE FROM api_key WHERE maker = $1").bind(maker.as_str())).await?;
    Ok(())
}

/// Forgets at most so many temporary keys that expired so long ago.
pub(crate) async fn prune_api_keys(
    session: &mut Session,
    when: When,
    ago: Span,
    limit: u32,
) -> Result<Outcome<u64>, StoreError> {
    let expired = when.now(session).await? - ago;
    let delete = query(
        // Said twice: a key that was given more time while this waited for its row stays.
        "DELETE FROM api_key WHERE expires <= $1 AND secret_id IN
         (SELECT secret_id FROM api_key WHERE expires <= $1 ORDER BY expires LIMIT $2)",
    );
    Ok(Outcome::Keep(session.run(delete.bind(time(expired)).bind(limit)).await?))
}

/// False when the hash is taken.
pub(crate) async fn insert_enrolment_token(
    session: &mut Session,
    token: &EnrolmentToken,
) -> Result<bool, StoreError> {
    let insert = query(
        "INSERT INTO enrolment_token (hash, app_id, device, uses_left, expires, mac)
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
    );
    let insert = insert
        .bind(token.hash.as_slice())
        .bind(number(token.app_id.get()))
        .bind(token.device.as_ref().map(|device| device.as_str()))
        .bind(token.uses_left)
        .bind(time(token.expires))
        .bind(token.mac.as_slice());
    Ok(session.run(insert).await? == 1)
}

/// Writes a line of the audit table.
pub(crate) async fn insert_audit(
    session: &mut Session,
    entry: &AuditEntry,
) -> Result<(), StoreError> {
    let insert = query(
        "INSERT INTO audit (at, secret_id, uin, action, subject) VALUES ($1, $2, $3, $4, $5)",
    );
    let insert = insert
        .bind(time(entry.at))
        .bind(entry.secret_id.as_ref().map(|id| id.as_str()))
        .bind(entry.uin.as_ref().map(|uin| uin.as_str()))
        .bind(&entry.action)
        .bind(&entry.subject);
    session.run(insert).await?;
    Ok(())
}

fn api_key_values(sql: &'static str, key: &ApiKey) -> Result<Statement, StoreError> {
    let actions = key.scope.actions.as_ref().map(serde_json::to_string).transpose();
    let devices = key.scope.devices.as_ref().map(scope::save).transpose()?;
    let values = query(sql)
        .bind(key.secret_id.as_str())
        .bind(key.encrypted_secret.as_slice())
        .bind(number(key.app_id.get()))
        .bind(key.uin.as_str())
        .bind(key.scope.admin)
        .bind(actions.map_err(|e| StoreError::Unavailable(Box::new(e)))?)
        .bind(key.token_hash.as_ref().map(|hash| hash.as_slice()))
        .bind(key.expires.map(time))
        .bind(key.disabled)
        .bind(time(key.created))
        .bind(key.mac.as_slice())
        .bind(devices)
        .bind(key.maker.as_ref().map(|maker| maker.as_str()));
    Ok(values)
}

fn load_account(row: &Row) -> Result<Account, StoreError> {
    Ok(Account {
        app_id: read(row, "app_id")?,
        name: read(row, "name")?,
        blocked: read(row, "blocked")?,
    })
}

fn load_api_key(row: &Row) -> Result<ApiKey, StoreError> {
    let actions: Option<String> = read_optional(row, "actions")?;
    let actions = actions.map(|actions| serde_json::from_str(&actions)).transpose();
    let devices: Option<String> = read_optional(row, "devices")?;
    Ok(ApiKey {
        secret_id: read(row, "secret_id")?,
        encrypted_secret: read(row, "encrypted_secret")?,
        app_id: read(row, "app_id")?,
        uin: read(row, "uin")?,
        scope: Scope {
            admin: read(row, "admin")?,
            actions: actions.map_err(|_| StoreError::Corrupt("actions"))?,
            devices: devices.map(|devices| scope::load(&devices)).transpose()?,
        },
        token_hash: read_optional(row, "token_hash")?,
        expires: read_optional(row, "expires")?,
        maker: read_optional(row, "maker")?,
        disabled: read(row, "disabled")?,
        created: read(row, "created")?,
        mac: read(row, "mac")?,
    })
}

fn load_enrolment_token(row: &Row) -> Result<EnrolmentToken, StoreError> {
    Ok(EnrolmentToken {
        hash: read(row, "hash")?,
        app_id: read(row, "app_id")?,
        device: read_optional(row, "device")?,
        uses_left: read(row, "uses_left")?,
        expires: read(row, "expires")?,
        mac: read(row, "mac")?,
    })
}
