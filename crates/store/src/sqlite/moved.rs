//! The mark of a file that was copied to another database: two that go on from the same past would
//! tell two truths.

use opencpm_operations::port::StoreError;
use sqlx::{Row, SqliteConnection};

use crate::session::store_error;

/// Where the file was copied to, if it was.
pub(crate) async fn target(
    connection: &mut SqliteConnection,
) -> Result<Option<String>, StoreError> {
    let select = sqlx::query("SELECT target FROM moved");
    let row = select.fetch_optional(connection).await.map_err(store_error)?;
    row.map(|row| row.try_get(0).map_err(store_error)).transpose()
}

/// Sets the mark.
pub(crate) async fn mark(
    connection: &mut SqliteConnection,
    target: &str,
) -> Result<(), StoreError> {
    let insert = "INSERT INTO moved (only, target) VALUES (1, $1)
                  ON CONFLICT (only) DO UPDATE SET target = excluded.target";
    sqlx::query(insert).bind(target).execute(connection).await.map_err(store_error)?;
    Ok(())
}

/// Takes the mark back.
pub(crate) async fn unmark(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM moved").execute(connection).await.map_err(store_error)?;
    Ok(())
}
