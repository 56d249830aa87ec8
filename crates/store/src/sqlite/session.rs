//! The one door to a connection: what is sent is counted, and every error is named.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use futures_util::TryStreamExt;
use opencpm_operations::port::StoreError;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Connection, Sqlite, SqliteConnection, Transaction};

/// A statement with its parameters.
pub(super) type Query<'q> = sqlx::query::Query<'q, Sqlite, SqliteArguments>;

/// What a store remembers of its connections' work.
#[derive(Default)]
pub(super) struct Meter {
    statements: AtomicU64,
    erased: AtomicBool,
}

impl Meter {
    /// How many statements were run, those that begin and end transactions included.
    pub(super) fn statements(&self) -> u64 {
        self.statements.load(Ordering::Relaxed)
    }

    /// Whether bytes that were erased may still be in the files.
    pub(super) fn has_remains(&self) -> bool {
        self.erased.load(Ordering::SeqCst)
    }

    /// Sets what [`Self::has_remains`] tells.
    pub(super) fn set_remains(&self, remains: bool) {
        self.erased.store(remains, Ordering::SeqCst);
    }
}

/// A connection in use.
pub(super) struct Session {
    connection: Held,
    meter: Arc<Meter>,
}

enum Held {
    /// The writer's own.
    Writer(Box<SqliteConnection>),
    /// One of the readers', in a transaction: one snapshot. Dropping it ends the transaction.
    Reader(Transaction<'static, Sqlite>),
}

impl Session {
    pub(super) fn writer(connection: SqliteConnection, meter: Arc<Meter>) -> Self {
        Self { connection: Held::Writer(Box::new(connection)), meter }
    }

    pub(super) fn reader(transaction: Transaction<'static, Sqlite>, meter: Arc<Meter>) -> Self {
        // Its begin and its end.
        meter.statements.fetch_add(2, Ordering::Relaxed);
        Self { connection: Held::Reader(transaction), meter }
    }

    /// What the store remembers.
    pub(super) fn meter(&self) -> &Meter {
        &self.meter
    }

    /// All rows of an answer.
    pub(super) async fn rows(&mut self, query: Query<'_>) -> Result<Vec<SqliteRow>, StoreError> {
        query.fetch_all(self.connection()).await.map_err(store_error)
    }

    /// What each row of an answer stands for. A row takes some KiB until it is read: where there
    /// may be a hundred thousand of them, only one at a time may wait.
    pub(super) async fn read_each<T>(
        &mut self,
        query: Query<'_>,
        load: impl Fn(&SqliteRow) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut rows = query.fetch(self.connection());
        let mut all = Vec::new();
        while let Some(row) = rows.try_next().await.map_err(store_error)? {
            all.push(load(&row)?);
        }
        Ok(all)
    }

    /// The one row of an answer, or none.
    pub(super) async fn row(&mut self, query: Query<'_>) -> Result<Option<SqliteRow>, StoreError> {
        query.fetch_optional(self.connection()).await.map_err(store_error)
    }

    /// Runs a change and tells how many rows it touched.
    pub(super) async fn run(&mut self, query: Query<'_>) -> Result<u64, StoreError> {
        let done = query.execute(self.connection()).await.map_err(store_error)?;
        Ok(done.rows_affected())
    }

    /// Closes the writer's connection; a reader's goes back to its pool.
    pub(super) async fn close(self) -> Result<(), StoreError> {
        match self.connection {
            Held::Writer(connection) => connection.close().await.map_err(store_error),
            Held::Reader(transaction) => transaction.rollback().await.map_err(store_error),
        }
    }

    fn connection(&mut self) -> &mut SqliteConnection {
        self.meter.statements.fetch_add(1, Ordering::Relaxed);
        match &mut self.connection {
            Held::Writer(connection) => connection,
            Held::Reader(transaction) => transaction,
        }
    }
}

/// Damage is told from what may pass: a full disk, a lock, a failing device.
pub(super) fn store_error(error: sqlx::Error) -> StoreError {
    // Primary result codes: https://www.sqlite.org/rescode.html
    let code = error.as_database_error().and_then(|e| e.code());
    let primary = code.and_then(|code| code.parse::<i32>().ok()).map(|code| code & 0xff);
    match primary {
        Some(11) => StoreError::Corrupt("the database file is damaged"),
        Some(26) => StoreError::Corrupt("the file is not an SQLite database"),
        _ => StoreError::Unavailable(Box::new(error)),
    }
}
