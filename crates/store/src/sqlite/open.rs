//! Opening the file: rights, the lock against a second process, settings, migrations.

use std::cmp::Ordering;
use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use opencpm_operations::port::StoreError;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Row, SqliteConnection};

use super::moved;
use crate::session::store_error;

/// Why a store could not be opened, as the source of [`StoreError::Unavailable`].
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// SQLite is for one process: another one has this store open.
    #[error("{} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// The lock file cannot be made or locked.
    #[error("cannot lock {}", .0.display())]
    Lock(PathBuf, #[source] io::Error),
    /// The directory cannot be made.
    #[error("cannot make the directory {}", .0.display())]
    Directory(PathBuf, #[source] io::Error),
    /// The file cannot be made or given its rights.
    #[error("cannot make {} readable and writable by its owner only", .0.display())]
    File(PathBuf, #[source] io::Error),
    /// Everything was copied to another database, which has gone on since.
    #[error(
        "it was copied to {0} and is the past since then: set store.url to serve from there, or \
         take it up again with opencpm store reopen, without what happened there"
    )]
    Moved(String),
    /// Nothing to copy.
    #[error("there is no database at {}", .0.display())]
    Absent(PathBuf),
    /// Made by an older version, and not to be changed now.
    #[error(
        "it has schema {found}, this version needs {needed}: start the service of this version on \
         it once"
    )]
    Older {
        /// The schema in the file.
        found: i64,
        /// The schema that this version knows.
        needed: i64,
    },
}

/// What a store needs of its file.
pub(super) struct Opened {
    /// Held while the store is open.
    pub(super) lock: FileLock,
    /// The only connection that may write.
    pub(super) writer: SqliteConnection,
    /// Connections that cannot write.
    pub(super) readers: SqlitePool,
}

/// Makes the directory and the file where they are absent, readable by the owner only.
pub(super) async fn open(path: &Path) -> Result<Opened, StoreError> {
    private_directory(path).map_err(unavailable)?;
    let lock = lock(path).map_err(unavailable)?;
    private_file(path).map_err(unavailable)?;
    let writers = SqlitePoolOptions::new().max_connections(1);
    let writers = writers.connect_with(writer_options(path)).await.map_err(store_error)?;
    migrate(&writers).await?;
    let mut writer = writers.acquire().await.map_err(store_error)?.detach();
    if let Some(target) = moved::target(&mut writer).await? {
        return Err(unavailable(OpenError::Moved(target)));
    }
    let readers = SqlitePoolOptions::new()
        .max_connections(READERS)
        .acquire_timeout(Duration::from_secs(5))
        // Never before the above: when a whole fleet asks at once, each would be a line in the log.
        .acquire_slow_threshold(Duration::from_secs(5))
        .connect_with(reader_options(path))
        .await
        .map_err(store_error)?;
    Ok(Opened { lock, writer, readers })
}

/// The file as it is, in nobody else's hands while the lock is held: nothing is made, its schema
/// must be this version's, and it may have been copied before.
pub(crate) async fn open_as_it_is(path: &Path) -> Result<(FileLock, SqliteConnection), StoreError> {
    if !path.exists() {
        return Err(unavailable(OpenError::Absent(path.into())));
    }
    let lock = lock(path).map_err(unavailable)?;
    let mut connection = writer_options(path).connect().await.map_err(store_error)?;
    refuse_foreign(&mut connection).await?;
    let found = number(&mut connection, VERSION).await?;
    match found.cmp(&known()) {
        Ordering::Less => Err(unavailable(OpenError::Older { found, needed: known() })),
        Ordering::Greater => Err(StoreError::Newer { found, known: known() }),
        Ordering::Equal => Ok((lock, connection)),
    }
}

fn unavailable(error: OpenError) -> StoreError {
    StoreError::Unavailable(Box::new(error))
}

const READERS: u32 = 4;

/// "OCPM", as the first migration sets it.
const APPLICATION: i64 = 0x4f43_504d;

pub(crate) static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

fn private_directory(path: &Path) -> Result<(), OpenError> {
    let Some(directory) = path.parent().filter(|d| !d.as_os_str().is_empty()) else {
        return Ok(());
    };
    let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(|e| OpenError::Directory(directory.into(), e))
}

/// Keeps others from the file until it goes.
pub(crate) struct FileLock(pub(super) File);

impl Drop for FileLock {
    fn drop(&mut self) {
        // Closing would not be enough while a child that this process has just forked has the
        // descriptor too. Where it fails, the lock ends with the last of them.
        self.0.unlock().ok();
    }
}

fn lock(path: &Path) -> Result<FileLock, OpenError> {
    let lock_path = beside(path, ".lock");
    let file = private(&lock_path).map_err(|e| OpenError::Lock(lock_path.clone(), e))?;
    match file.try_lock() {
        Ok(()) => Ok(FileLock(file)),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(path.into())),
        Err(TryLockError::Error(error)) => Err(OpenError::Lock(lock_path, error)),
    }
}

/// SQLite gives the files that it puts beside the database the same mode.
fn private_file(path: &Path) -> Result<(), OpenError> {
    private(path).map(drop).map_err(|e| OpenError::File(path.into(), e))
}

fn private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let file =
        options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        file.set_permissions(Permissions::from_mode(0o600))?;
    }
    Ok(file)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn writer_options(path: &Path) -> SqliteConnectOptions {
    options(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        // What is deleted is overwritten, see `scrub`.
        .pragma("secure_delete", "ON")
}

fn reader_options(path: &Path) -> SqliteConnectOptions {
    options(path).read_only(true)
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(1))
        // Nothing of ours goes to temporary files.
        .pragma("temp_store", "MEMORY")
        .disable_statement_logging()
}

async fn migrate(writers: &SqlitePool) -> Result<(), StoreError> {
    refuse_foreign(&mut *writers.acquire().await.map_err(store_error)?).await?;
    match MIGRATIONS.run(writers).await {
        Ok(()) => Ok(()),
        Err(MigrateError::VersionMissing(_)) => {
            let mut connection = writers.acquire().await.map_err(store_error)?;
            let found = number(&mut connection, VERSION).await?;
            Err(StoreError::Newer { found, known: known() })
        }
        Err(MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) => {
            Err(store_error(error))
        }
        Err(MigrateError::VersionMismatch(_)) => {
            Err(StoreError::Corrupt("its schema was made by another edition of a migration"))
        }
        Err(other) => Err(StoreError::Unavailable(Box::new(other))),
    }
}

/// A database with tables that is not ours is left alone.
async fn refuse_foreign(database: &mut SqliteConnection) -> Result<(), StoreError> {
    let tables = number(database, "SELECT count(*) FROM sqlite_schema").await?;
    let application = number(database, "PRAGMA application_id").await?;
    // Only the bookkeeping table of the migrations: the first start was interrupted.
    let begun = tables <= 2
        && number(
            database,
            "SELECT count(*) FROM sqlite_schema WHERE tbl_name = '_sqlx_migrations'",
        )
        .await?
            == tables;
    if application == APPLICATION || begun {
        Ok(())
    } else {
        Err(StoreError::Corrupt("the database belongs to another program"))
    }
}

/// The newest migration that was applied.
const VERSION: &str = "SELECT coalesce(max(version), 0) FROM _sqlx_migrations";

/// The newest migration that this version knows.
fn known() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or_default()
}

async fn number(database: &mut SqliteConnection, sql: &'static str) -> Result<i64, StoreError> {
    let row = sqlx::query(sql).fetch_one(database).await.map_err(store_error)?;
    row.try_get(0).map_err(store_error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_is_let_go_does_not_wait_for_a_child_that_has_its_descriptor() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("opencpm.db");
        let held = lock(&path).unwrap();
        assert!(matches!(lock(&path), Err(OpenError::InUse(_))));
        let of_the_child = held.0.try_clone().unwrap();
        drop(held);
        lock(&path).unwrap();
        drop(of_the_child);
    }
}
