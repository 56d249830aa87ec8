//! The SQLite file that is copied: read as it is, marked at the end.

use std::path::Path;

use futures_util::stream::{self, Stream, StreamExt, TryStreamExt};
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Connection, Executor, Row, SqliteConnection};

use super::CopyError;
use super::catalogue::{SqliteColumn, Table, quoted};
use super::rows::{HEADER, TRAILER, push};
use crate::session::store_error;
use crate::sqlite::open::FileLock;
use crate::sqlite::{moved, open};

/// Rows that are in memory at once.
const ROWS: usize = 256;

/// The file, which nobody else opens meanwhile.
pub(super) struct Source {
    connection: SqliteConnection,
    _lock: FileLock,
}

impl Source {
    pub(super) async fn open(file: &Path) -> Result<Self, CopyError> {
        let (lock, connection) = open::open_as_it_is(file).await.map_err(CopyError::Source)?;
        Ok(Self { connection, _lock: lock })
    }

    /// Where it was copied to before.
    pub(super) async fn moved_to(&mut self) -> Result<Option<String>, CopyError> {
        moved::target(&mut self.connection).await.map_err(CopyError::Source)
    }

    /// The id of the deployment.
    pub(super) async fn deployment(&mut self) -> Result<Option<Vec<u8>>, CopyError> {
        let select = sqlx::query_scalar("SELECT id FROM deployment");
        select.fetch_optional(&mut self.connection).await.map_err(failed)
    }

    /// The columns of all tables.
    pub(super) async fn catalogue(&mut self) -> Result<Vec<SqliteColumn>, CopyError> {
        let select = "SELECT line.name, field.name, field.type
             FROM pragma_table_list AS line, pragma_table_info(line.name) AS field
             WHERE line.schema = 'main' AND line.type = 'table' AND line.name NOT LIKE 'sqlite\\_%'
                 ESCAPE '\\'";
        let rows = sqlx::query(select).fetch_all(&mut self.connection).await.map_err(failed)?;
        let column = |row: &SqliteRow| {
            Ok(SqliteColumn {
                table: row.try_get(0)?,
                name: row.try_get(1)?,
                type_name: row.try_get(2)?,
            })
        };
        rows.iter().map(column).collect::<Result<_, _>>().map_err(failed)
    }

    pub(super) async fn count(&mut self, table: &str) -> Result<u64, CopyError> {
        let count = format!("SELECT count(*) FROM {}", quoted(table));
        let count = sqlx::query_scalar::<_, i64>(AssertSqlSafe(count));
        let count = count.fetch_one(&mut self.connection).await.map_err(failed)?;
        Ok(count.unsigned_abs())
    }

    /// The highest number that a row was ever given.
    pub(super) async fn highest(&mut self, table: &Table, counter: &str) -> Result<i64, CopyError> {
        let highest = format!(
            "SELECT max(
                 coalesce((SELECT max({}) FROM {}), 0),
                 coalesce((SELECT seq FROM sqlite_sequence WHERE name = $1), 0))",
            quoted(counter),
            quoted(&table.name),
        );
        let highest = sqlx::query_scalar(AssertSqlSafe(highest)).bind(&table.name);
        highest.fetch_one(&mut self.connection).await.map_err(failed)
    }

    /// From now on it stays as it is.
    pub(super) async fn begin(&mut self) -> Result<(), CopyError> {
        self.connection.execute("BEGIN IMMEDIATE").await.map(drop).map_err(failed)
    }

    /// The rows of a table in the order of its key, in the form of a binary `COPY`.
    pub(super) fn rows<'s>(
        &'s mut self,
        table: &'s Table,
    ) -> impl Stream<Item = Result<Vec<u8>, CopyError>> + Send + 's {
        let (columns, name, key) = (table.columns(), quoted(&table.name), table.key(""));
        let select = format!("SELECT {columns} FROM {name} ORDER BY {key}");
        let rows = sqlx::query(AssertSqlSafe(select)).fetch(&mut self.connection);
        let rows = rows.try_chunks(ROWS).map(|rows| {
            let mut form = Vec::new();
            for row in rows.map_err(|error| failed(error.1))? {
                push(table, &row, &mut form)?;
            }
            Ok(form)
        });
        let header = stream::once(async { Ok(HEADER.to_vec()) });
        header.chain(rows).chain(stream::once(async { Ok(TRAILER.to_vec()) }))
    }

    /// Says in the file where everything is from now on.
    pub(super) async fn commit_as_past(&mut self, place: &str) -> Result<(), CopyError> {
        moved::mark(&mut self.connection, place).await.map_err(CopyError::Source)?;
        self.connection.execute("COMMIT").await.map(drop).map_err(failed)
    }

    pub(super) async fn close(self) -> Result<(), CopyError> {
        self.connection.close().await.map_err(failed)
    }
}

fn failed(error: sqlx::Error) -> CopyError {
    CopyError::Source(store_error(error))
}
