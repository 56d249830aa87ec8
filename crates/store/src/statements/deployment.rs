//! The deployment itself, and its first start.

use opencpm_domain::{Generation, to_hex};
use opencpm_operations::port::{DeploymentRow, FirstStart, StoreError};
use serde::Serialize;

use super::account::{insert_account, insert_api_key, insert_audit};
use crate::column::read;
use crate::engine::Outcome;
use crate::session::Session;
use crate::statement::{each, json, query};

pub(crate) async fn deployment(session: &mut Session) -> Result<Option<DeploymentRow>, StoreError> {
    let deployment = "SELECT id, statement, generation FROM deployment";
    let Some(row) = session.row(query(deployment)).await? else { return Ok(None) };
    let keys = "SELECT name, encrypted FROM deployment_key ORDER BY position";
    let keys = session.rows(query(keys)).await?;
    let key = |row| Ok((read(row, "name")?, read(row, "encrypted")?));
    Ok(Some(DeploymentRow {
        deployment: read(&row, "id")?,
        statement: read(&row, "statement")?,
        generation: read(&row, "generation")?,
        encrypted_keys: keys.iter().map(key).collect::<Result<_, StoreError>>()?,
    }))
}

pub(crate) async fn create(
    session: &mut Session,
    first: &FirstStart,
) -> Result<Outcome<bool>, StoreError> {
    let row = &first.deployment;
    let insert = query(
        "INSERT INTO deployment (\"only\", id, statement, generation) VALUES (1, $1, $2, $3)
         ON CONFLICT DO NOTHING",
    );
    let insert = insert
        .bind(row.deployment.as_bytes().as_slice())
        .bind(row.statement.as_slice())
        .bind(i64::from(row.generation.get()));
    if session.run(insert).await? == 0 {
        return Ok(Outcome::Undo(false));
    }
    insert_keys(session, &row.encrypted_keys).await?;
    insert_account(session, &first.account).await?;
    insert_api_key(session, &first.api_key).await?;
    insert_audit(session, &first.audit).await?;
    Ok(Outcome::Keep(true))
}

pub(crate) async fn put_statement(
    session: &mut Session,
    generation: Generation,
    statement: &[u8],
) -> Result<Outcome<()>, StoreError> {
    let update = "UPDATE deployment SET statement = $1, generation = $2 WHERE generation < $2";
    session.run(query(update).bind(statement).bind(i64::from(generation.get()))).await?;
    Ok(Outcome::Keep(()))
}

async fn insert_keys(session: &mut Session, keys: &[(String, Vec<u8>)]) -> Result<(), StoreError> {
    #[derive(Serialize)]
    struct Line<'a> {
        name: &'a str,
        encrypted: String,
    }
    let lines: Vec<_> =
        keys.iter().map(|(name, key)| Line { name, encrypted: to_hex(key) }).collect();
    let insert = query(each(
        "INSERT INTO deployment_key (position, name, encrypted)
         SELECT key, value ->> 'name', unhex(value ->> 'encrypted') FROM json_each($1)",
        "INSERT INTO deployment_key (position, name, encrypted)
         SELECT place - 1, value ->> 'name', decode(value ->> 'encrypted', 'hex')
         FROM json_array_elements($1::json) WITH ORDINALITY AS line (value, place)",
    ));
    session.run(insert.bind(json(&lines)?)).await?;
    Ok(())
}
