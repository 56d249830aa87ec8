//! Whether the service is under maintenance.

use opencpm_operations::port::StoreError;
use opencpm_operations::row::Maintenance;

use crate::column::{read, read_optional, time};
use crate::row::Row;
use crate::session::Session;
use crate::statement::query;

pub(crate) async fn maintenance(session: &mut Session) -> Result<Option<Maintenance>, StoreError> {
    let select = query("SELECT since AS under_since, message AS under_message FROM maintenance");
    Ok(session.row(select).await?.as_ref().map(load_maintenance).transpose()?.flatten())
}

/// Keeps the time when it began, should it be under way.
pub(crate) async fn begin(session: &mut Session, begun: &Maintenance) -> Result<(), StoreError> {
    let insert = query(
        "INSERT INTO maintenance (\"only\", since, message) VALUES (1, $1, $2)
         ON CONFLICT (\"only\") DO UPDATE SET message = excluded.message",
    );
    session.run(insert.bind(time(begun.since)).bind(&begun.message)).await?;
    Ok(())
}

pub(crate) async fn end(session: &mut Session) -> Result<(), StoreError> {
    session.run(query("DELETE FROM maintenance")).await?;
    Ok(())
}

/// Reads `under_since` and `under_message`, which are null when there is none.
pub(super) fn load_maintenance(row: &Row) -> Result<Option<Maintenance>, StoreError> {
    let Some(since) = read_optional(row, "under_since")? else { return Ok(None) };
    Ok(Some(Maintenance { since, message: read(row, "under_message")? }))
}
