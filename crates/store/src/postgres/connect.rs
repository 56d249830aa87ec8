//! Connections, and the schema that they find.

use std::time::Duration;

use opencpm_operations::port::StoreError;
use sqlx::migrate::{Migrate, MigrateError, Migrator};
use sqlx::postgres::{PgConnection, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, Executor, PgPool, Row};
use tokio::time::timeout;

use super::PostgresOptions;
use crate::session::store_error;

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/postgres");

/// A server that does not answer is told within 3 s, whatever it was asked.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);

/// Set on each connection. A process that stands still in the middle of a transaction loses it long
/// before a lease would have ended (10 s): it cannot commit a binding much later than it was judged,
/// and whoever waits for its rows does not wait for long. A statement may take longer: a large
/// acceptance does. Temporary tables hold sealed bytes, in memory as far as it goes. Notices, such
/// as that a temporary table is there already, are nobody's news. A server that answers before a
/// commit is on disk does not do so here; one that also waits for a replica is left alone.
pub(crate) const SETTINGS: &str = "SET statement_timeout = '30s'; SET lock_timeout = '2s';
    SET idle_in_transaction_session_timeout = '4s'; SET temp_buffers = '64MB';
    SET client_min_messages = 'warning';
    SELECT set_config('synchronous_commit', 'on', false)
    WHERE current_setting('synchronous_commit') = 'off'";

/// A schema that this version cannot work with, as the source of [`StoreError::Unavailable`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// Texts of some devices could not be kept as they are.
    #[error("the database is not in UTF-8: make one with CREATE DATABASE .. ENCODING 'UTF8'")]
    Encoding,
    /// An empty database.
    #[error("the database has no schema yet")]
    Absent,
    /// Of an older version.
    #[error("the database has schema {found}, this version needs {needed}: run opencpm migrate")]
    Older {
        /// The schema in the database.
        found: i64,
        /// The schema that this version knows.
        needed: i64,
    },
}

/// A step from one schema to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migration {
    /// Its number.
    pub version: i64,
    /// What it is for.
    pub description: String,
}

pub(super) async fn pool(
    options: &PostgresOptions,
    connections: u32,
) -> Result<PgPool, StoreError> {
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(CONNECT_LIMIT)
        // Never before the above: when a whole fleet asks at once, each would be a line in the log.
        .acquire_slow_threshold(CONNECT_LIMIT)
        .after_connect(|connection, _| {
            Box::pin(async move { connection.execute(SETTINGS).await.map(drop) })
        })
        .after_release(|connection, _| {
            Box::pin(async move {
                // One that the network has forgotten would keep its place for as long as the
                // kernel waits: an error gives the place back at once.
                let answered = timeout(CONNECT_LIMIT, connection.ping()).await;
                answered.unwrap_or(Err(sqlx::Error::PoolTimedOut)).map(|()| true)
            })
        })
        .connect_with(options.connect())
        .await
        .map_err(store_error)
}

/// Fails unless this version can work with the schema: its own, or a newer one that says so.
pub(crate) async fn check_schema(connection: &mut PgConnection) -> Result<(), StoreError> {
    let known = latest();
    let Some((found, lowest)) = schema(connection).await? else {
        return Err(StoreError::Unavailable(Box::new(SchemaError::Absent)));
    };
    if found < known {
        let older = SchemaError::Older { found, needed: known };
        return Err(StoreError::Unavailable(Box::new(older)));
    }
    if known < lowest { Err(StoreError::Newer { found, known }) } else { Ok(()) }
}

/// The newest migration that was applied, and the lowest version that may run beside it.
async fn schema(connection: &mut PgConnection) -> Result<Option<(i64, i64)>, StoreError> {
    if !is_made(connection).await? {
        return Ok(None);
    }
    let versions = "SELECT (SELECT max(version) FROM _sqlx_migrations WHERE success),
                           (SELECT lowest FROM schema_compatibility)";
    let row = connection.fetch_one(versions).await.map_err(store_error)?;
    let [found, lowest] = [0, 1].map(|column| row.try_get::<Option<i64>, _>(column));
    Ok(found.map_err(store_error)?.zip(lowest.map_err(store_error)?))
}

/// Whether our schema is there, of whatever version. False for an empty database; one that has
/// tables of somebody else is left alone, and so is one that cannot keep every text.
async fn is_made(connection: &mut PgConnection) -> Result<bool, StoreError> {
    // Only the bookkeeping table of the migrations: the first start was interrupted.
    let look = "SELECT to_regclass('schema_compatibility') IS NOT NULL
                   AND to_regclass('_sqlx_migrations') IS NOT NULL,
               EXISTS (SELECT FROM pg_class
                       WHERE relnamespace = current_schema()::regnamespace
                         AND relkind IN ('r', 'p')
                         AND relname <> '_sqlx_migrations'),
               current_setting('server_encoding') = 'UTF8'";
    let row = connection.fetch_one(look).await.map_err(store_error)?;
    let [is_ours, has_tables, is_utf8] = [0, 1, 2].map(|column| row.try_get::<bool, _>(column));
    if !is_utf8.map_err(store_error)? {
        return Err(StoreError::Unavailable(Box::new(SchemaError::Encoding)));
    }
    match (is_ours.map_err(store_error)?, has_tables.map_err(store_error)?) {
        (false, true) => Err(StoreError::Corrupt("the database belongs to another program")),
        (is_ours, _) => Ok(is_ours),
    }
}

fn latest() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or_default()
}

pub(super) async fn pending(options: &PostgresOptions) -> Result<Vec<Migration>, StoreError> {
    let mut connection = options.connect().connect().await.map_err(store_error)?;
    let applied = match is_made(&mut connection).await? {
        true => applied(&mut connection).await?,
        false => Vec::new(),
    };
    let pending = MIGRATIONS.iter().filter(|migration| !applied.contains(&migration.version));
    let pending = pending.map(|migration| Migration {
        version: migration.version,
        description: migration.description.to_string(),
    });
    let pending = pending.collect();
    connection.close().await.map_err(store_error)?;
    Ok(pending)
}

async fn applied(connection: &mut PgConnection) -> Result<Vec<i64>, StoreError> {
    let applied = connection.list_applied_migrations("_sqlx_migrations").await;
    let applied = applied.map_err(|error| StoreError::Unavailable(Box::new(error)))?;
    Ok(applied.into_iter().map(|migration| migration.version).collect())
}

/// Under a lock of the database: of several that migrate at once, one does it and the others find
/// it done.
pub(super) async fn migrate(options: &PostgresOptions) -> Result<(), StoreError> {
    let mut connection = options.connect().connect().await.map_err(store_error)?;
    is_made(&mut connection).await?;
    let migrated = MIGRATIONS.run(&mut connection).await;
    connection.close().await.map_err(store_error)?;
    migrated.map_err(|error| match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            store_error(error)
        }
        MigrateError::VersionMissing(found) => StoreError::Newer { found, known: latest() },
        MigrateError::VersionMismatch(_) => {
            StoreError::Corrupt("its schema was made by another edition of a migration")
        }
        other => StoreError::Unavailable(Box::new(other)),
    })
}
