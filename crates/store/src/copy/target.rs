//! The PostgreSQL database that is filled: empty before, and empty again unless everything is there.

use futures_util::{Stream, TryStreamExt};
use opencpm_operations::port::StoreError;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, Postgres, Row, Transaction};

use super::CopyError;
use super::catalogue::{Catalogue, PostgresColumn, Table, quoted};
use crate::postgres::connect::{SETTINGS, check_schema};
use crate::postgres::{PostgresOptions, PostgresStore, SchemaError};
use crate::session::store_error;
use crate::statements::gateway::END_ALL;

/// After the usual ones: a large table takes its time, in a statement and between two of them.
const PATIENCE: &str = "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0;
    SET lock_timeout = '5s'";

/// The database, of which nothing was changed.
pub(super) struct Target {
    connection: PgConnection,
    is_made: bool,
}

/// The database while it is filled. What is in it goes away unless it is committed.
pub(super) struct Filling<'t> {
    transaction: Transaction<'t, Postgres>,
}

impl Target {
    pub(super) async fn connect(options: &PostgresOptions) -> Result<Self, CopyError> {
        let mut connection = options.connect().connect().await.map_err(failed)?;
        connection.execute(SETTINGS).await.map_err(failed)?;
        connection.execute(PATIENCE).await.map_err(failed)?;
        let is_made = match check_schema(&mut connection).await {
            Ok(()) => true,
            Err(error) if is_absent(&error) => false,
            Err(error) => return Err(CopyError::Target(error)),
        };
        Ok(Self { connection, is_made })
    }

    /// Whether it has a schema.
    pub(super) fn is_made(&self) -> bool {
        self.is_made
    }

    /// Gives it one unless it has.
    pub(super) async fn make_schema(&mut self, options: &PostgresOptions) -> Result<(), CopyError> {
        if !self.is_made {
            PostgresStore::migrate(options).await.map_err(CopyError::Target)?;
            self.is_made = true;
        }
        Ok(())
    }

    /// The id of the deployment that it holds.
    pub(super) async fn deployment(&mut self) -> Result<Option<Vec<u8>>, CopyError> {
        if !self.is_made {
            return Ok(None);
        }
        let select = sqlx::query_scalar("SELECT id FROM deployment");
        select.fetch_optional(&mut self.connection).await.map_err(failed)
    }

    /// The columns of all tables.
    pub(super) async fn catalogue(&mut self) -> Result<Catalogue, CopyError> {
        let columns = "SELECT line.relname::text, field.attname::text,
                 format_type(field.atttypid, NULL),
                 array_position(key.indkey::int2[], field.attnum)::bigint, field.attidentity <> ''
             FROM pg_class AS line
             JOIN pg_attribute AS field
                 ON field.attrelid = line.oid AND field.attnum > 0 AND NOT field.attisdropped
             LEFT JOIN pg_index AS key ON key.indrelid = line.oid AND key.indisprimary
             WHERE line.relnamespace = current_schema()::regnamespace AND line.relkind IN ('r', 'p')
             ORDER BY line.relname, field.attnum";
        let columns = sqlx::query(columns).fetch_all(&mut self.connection).await.map_err(failed)?;
        let column = |row: &PgRow| {
            Ok(PostgresColumn {
                table: row.try_get(0)?,
                name: row.try_get(1)?,
                type_name: row.try_get(2)?,
                key: row.try_get(3)?,
                counts: row.try_get(4)?,
            })
        };
        let columns = columns.iter().map(column).collect::<Result<_, _>>().map_err(failed)?;
        let references = "SELECT line.relname::text, other.relname::text
             FROM pg_constraint AS rule
             JOIN pg_class AS line ON line.oid = rule.conrelid
             JOIN pg_class AS other ON other.oid = rule.confrelid
             WHERE rule.contype = 'f' AND line.relnamespace = current_schema()::regnamespace";
        let references = sqlx::query_as(references).fetch_all(&mut self.connection).await;
        Ok(Catalogue { columns, references: references.map_err(failed)? })
    }

    /// Begins to fill it. A node that starts meanwhile waits: it must not make a deployment of its
    /// own.
    pub(super) async fn fill(&mut self, tables: &[Table]) -> Result<Filling<'_>, CopyError> {
        let mut transaction = self.connection.begin().await.map_err(failed)?;
        let names: Vec<_> = tables.iter().map(|table| quoted(&table.name)).collect();
        let lock = format!("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", names.join(", "));
        transaction.execute(AssertSqlSafe(lock)).await.map_err(failed)?;
        for table in tables {
            let any = format!("SELECT EXISTS (SELECT FROM {})", quoted(&table.name));
            let any = sqlx::query_scalar(AssertSqlSafe(any)).fetch_one(&mut *transaction).await;
            if any.map_err(failed)? {
                return Err(CopyError::Occupied(table.name.clone()));
            }
        }
        Ok(Filling { transaction })
    }
}

impl Filling<'_> {
    /// Takes the rows of a table in the form of a binary `COPY`.
    pub(super) async fn take(
        &mut self,
        table: &Table,
        rows: impl Stream<Item = Result<Vec<u8>, CopyError>>,
    ) -> Result<(), CopyError> {
        let (name, columns) = (quoted(&table.name), table.columns());
        let copy = format!("COPY {name} ({columns}) FROM STDIN (FORMAT binary)");
        let mut copy = self.transaction.copy_in_raw(&copy).await.map_err(failed)?;
        let mut rows = std::pin::pin!(rows);
        while let Some(part) = rows.try_next().await? {
            copy.send(part).await.map_err(failed)?;
        }
        copy.finish().await.map(drop).map_err(failed)
    }

    pub(super) async fn count(&mut self, table: &Table) -> Result<u64, CopyError> {
        let count = format!("SELECT count(*) FROM {}", quoted(&table.name));
        let count = sqlx::query_scalar::<_, i64>(AssertSqlSafe(count));
        let count = count.fetch_one(&mut *self.transaction).await.map_err(failed)?;
        Ok(count.unsigned_abs())
    }

    /// The rows of a table in the order of its key, in the form of a binary `COPY`.
    pub(super) async fn rows(
        &mut self,
        table: &Table,
    ) -> Result<impl Stream<Item = Result<impl AsRef<[u8]> + use<>, CopyError>>, CopyError> {
        let (columns, name) = (table.columns(), quoted(&table.name));
        // Byte by byte, as SQLite orders texts.
        let key = table.key(" COLLATE \"C\"");
        let copy =
            format!("COPY (SELECT {columns} FROM {name} ORDER BY {key}) TO STDOUT (FORMAT binary)");
        let rows = self.transaction.copy_out_raw(&copy).await.map_err(failed)?;
        Ok(rows.map_err(failed))
    }

    /// The next row of the table gets a number above this one.
    pub(super) async fn count_on(
        &mut self,
        table: &Table,
        counter: &str,
        highest: i64,
    ) -> Result<(), CopyError> {
        let (name, counter) = (quoted(&table.name), quoted(counter));
        let next = highest.saturating_add(1);
        // Unlike setval, it is undone with the transaction.
        let restart = format!("ALTER TABLE {name} ALTER COLUMN {counter} RESTART WITH {next}");
        self.transaction.execute(AssertSqlSafe(restart)).await.map(drop).map_err(failed)
    }

    /// The file is locked, so whoever held a lease is gone: as when the file is opened again.
    pub(super) async fn end_leases(&mut self) -> Result<(), CopyError> {
        let now = sqlx::query_scalar::<_, i64>("SELECT store_now()");
        let now = now.fetch_one(&mut *self.transaction).await.map_err(failed)?;
        let end = sqlx::query(END_ALL).bind(now);
        end.execute(&mut *self.transaction).await.map(drop).map_err(failed)
    }

    pub(super) async fn commit(self) -> Result<(), CopyError> {
        let committed = self.transaction.commit().await;
        committed.map_err(|error| CopyError::Unknown(store_error(error)))
    }
}

fn is_absent(error: &StoreError) -> bool {
    let StoreError::Unavailable(source) = error else { return false };
    matches!(source.downcast_ref(), Some(SchemaError::Absent))
}

fn failed(error: sqlx::Error) -> CopyError {
    CopyError::Target(store_error(error))
}
