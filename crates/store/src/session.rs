//! The one door to a connection: what is sent is counted, and every error is named.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use futures_util::TryStreamExt;
use opencpm_operations::port::{OutcomeUnknown, StoreError};
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;
use sqlx::{
    AssertSqlSafe, Connection, PgConnection, Postgres, Sqlite, SqliteConnection, Transaction,
};

use crate::postgres::Listener;
use crate::row::Row;
use crate::statement::{Dialect, Statement, Value};

/// What a store remembers of its connections' work.
#[derive(Default)]
pub(crate) struct Meter {
    statements: AtomicU64,
    erased: AtomicBool,
}

impl Meter {
    /// How many statements were run, those that begin and end transactions included.
    pub(crate) fn statements(&self) -> u64 {
        self.statements.load(Ordering::Relaxed)
    }

    /// Whether bytes that were erased may still be in the files.
    pub(crate) fn has_remains(&self) -> bool {
        self.erased.load(Ordering::SeqCst)
    }

    /// Sets what [`Self::has_remains`] tells.
    pub(crate) fn set_remains(&self, remains: bool) {
        self.erased.store(remains, Ordering::SeqCst);
    }
}

/// A connection in use.
pub(crate) struct Session {
    connection: Held,
    meter: Arc<Meter>,
}

enum Held {
    /// The only connection that writes to an SQLite file.
    Writer(Box<SqliteConnection>),
    /// One that reads it, in a transaction: one snapshot. Dropping it ends the transaction.
    Reader(Transaction<'static, Sqlite>),
    /// A transaction in PostgreSQL, and who knows whether the server answers. Dropping it undoes
    /// it.
    Postgres(Transaction<'static, Postgres>, Listener),
}

/// The connection itself.
enum Line<'c> {
    Sqlite(&'c mut SqliteConnection),
    Postgres(&'c mut PgConnection, &'c mut Listener),
}

impl Session {
    pub(crate) fn writer(connection: SqliteConnection, meter: Arc<Meter>) -> Self {
        Self { connection: Held::Writer(Box::new(connection)), meter }
    }

    pub(crate) fn reader(transaction: Transaction<'static, Sqlite>, meter: Arc<Meter>) -> Self {
        // Its begin and its end.
        meter.statements.fetch_add(2, Ordering::Relaxed);
        Self { connection: Held::Reader(transaction), meter }
    }

    pub(crate) fn postgres(
        transaction: Transaction<'static, Postgres>,
        listener: Listener,
        meter: Arc<Meter>,
    ) -> Self {
        meter.statements.fetch_add(2, Ordering::Relaxed);
        Self { connection: Held::Postgres(transaction, listener), meter }
    }

    /// What the store remembers.
    pub(crate) fn meter(&self) -> &Meter {
        &self.meter
    }

    /// Which engine it is.
    pub(crate) fn dialect(&self) -> Dialect {
        match &self.connection {
            Held::Writer(_) | Held::Reader(_) => Dialect::Sqlite,
            Held::Postgres(..) => Dialect::Postgres,
        }
    }

    /// All rows of an answer.
    pub(crate) async fn rows(&mut self, statement: Statement) -> Result<Vec<Row>, StoreError> {
        self.read_each(statement, Ok).await
    }

    /// What each row of an answer stands for. A row takes some KiB until it is read: where there
    /// may be a hundred thousand of them, only one at a time may wait.
    pub(crate) async fn read_each<T>(
        &mut self,
        statement: Statement,
        load: impl Fn(Row) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut all = Vec::new();
        match self.line() {
            Line::Sqlite(line) => {
                let mut rows = sqlite(&statement).fetch(line);
                while let Some(row) = rows.try_next().await.map_err(store_error)? {
                    all.push(load(Row::Sqlite(row))?);
                }
            }
            Line::Postgres(line, listener) => {
                let mut rows = postgres(&statement).fetch(line);
                while let Some(row) = listener.guard(rows.try_next(), store_error).await? {
                    all.push(load(Row::Postgres(row))?);
                }
            }
        }
        Ok(all)
    }

    /// The one row of an answer, or none.
    pub(crate) async fn row(&mut self, statement: Statement) -> Result<Option<Row>, StoreError> {
        Ok(match self.line() {
            Line::Sqlite(line) => {
                let row = sqlite(&statement).fetch_optional(line).await.map_err(store_error)?;
                row.map(Row::Sqlite)
            }
            Line::Postgres(line, listener) => {
                let row = postgres(&statement).fetch_optional(line);
                listener.guard(row, store_error).await?.map(Row::Postgres)
            }
        })
    }

    /// Runs a change and tells how many rows it touched.
    pub(crate) async fn run(&mut self, statement: Statement) -> Result<u64, StoreError> {
        Ok(match self.line() {
            Line::Sqlite(line) => {
                let done = sqlite(&statement).execute(line).await.map_err(store_error)?;
                done.rows_affected()
            }
            Line::Postgres(line, listener) => {
                let done = postgres(&statement).execute(line);
                listener.guard(done, store_error).await?.rows_affected()
            }
        })
    }

    /// Ends a transaction in PostgreSQL: what was done in it is durable.
    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        match self.connection {
            Held::Postgres(transaction, mut listener) => {
                listener.guard(transaction.commit(), store_error).await.map_err(commit_error)
            }
            Held::Writer(_) | Held::Reader(_) => Ok(()),
        }
    }

    /// Closes the writer's connection; another one goes back to its pool, and what was done on it
    /// is undone.
    pub(crate) async fn close(self) -> Result<(), StoreError> {
        match self.connection {
            Held::Writer(connection) => connection.close().await.map_err(store_error),
            Held::Reader(transaction) => transaction.rollback().await.map_err(store_error),
            Held::Postgres(transaction, mut listener) => {
                listener.guard(transaction.rollback(), store_error).await
            }
        }
    }

    fn line(&mut self) -> Line<'_> {
        self.meter.statements.fetch_add(1, Ordering::Relaxed);
        match &mut self.connection {
            Held::Writer(connection) => Line::Sqlite(connection),
            Held::Reader(transaction) => Line::Sqlite(transaction),
            Held::Postgres(transaction, listener) => Line::Postgres(transaction, listener),
        }
    }
}

fn sqlite(statement: &Statement) -> Query<'_, Sqlite, SqliteArguments> {
    let (text, values) = statement.parts(Dialect::Sqlite);
    let mut query = sqlx::query(AssertSqlSafe(text.to_owned()));
    for value in values {
        query = match value {
            Value::Integer(number) => query.bind(number),
            Value::Truth(truth) => query.bind(truth),
            Value::Text(text) => query.bind(text.as_deref()),
            Value::Json(text) => query.bind(text.clone()),
            Value::Bytes(bytes) => query.bind(bytes.as_deref()),
        };
    }
    query
}

fn postgres(statement: &Statement) -> Query<'_, Postgres, PgArguments> {
    let (text, values) = statement.parts(Dialect::Postgres);
    let mut query = sqlx::query(AssertSqlSafe(text.to_owned()));
    for value in values {
        query = match value {
            Value::Integer(number) => query.bind(number),
            Value::Truth(truth) => query.bind(truth),
            Value::Text(text) => query.bind(text.as_deref().map(text_without_nul)),
            Value::Json(text) => query.bind(text.as_deref().map(json_without_nul)),
            Value::Bytes(bytes) => query.bind(bytes.as_deref()),
        };
    }
    query
}

/// PostgreSQL has no character U+0000: whoever sends one must not make it refuse the statement for
/// all. It is replaced.
pub(crate) fn text_without_nul(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', "\u{fffd}").into() } else { text.into() }
}

/// The same for JSON, where it is written as an escape.
fn json_without_nul(json: &str) -> Cow<'_, str> {
    const NUL: &str = "\\u0000";
    if !json.contains(NUL) {
        return json.into();
    }
    let mut kept = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = rest.find('\\') {
        // A backslash and what it escapes.
        let (before, escape) = rest.split_at(at);
        kept.push_str(before);
        let length = if escape.starts_with(NUL) { NUL.len() } else { 2 };
        let (escape, after) = escape.split_at(length.min(escape.len()));
        kept.push_str(if escape == NUL { "\\ufffd" } else { escape });
        rest = after;
    }
    kept.push_str(rest);
    kept.into()
}

/// Damage is told from what may pass: a full disk, a lock, a failing device.
pub(crate) fn store_error(error: sqlx::Error) -> StoreError {
    // SQLite's primary result codes: https://www.sqlite.org/rescode.html. Those of PostgreSQL
    // have five characters: https://www.postgresql.org/docs/15/errcodes-appendix.html.
    let code = error.as_database_error().and_then(|e| e.code());
    if code.as_ref().is_some_and(|code| ["XX001", "XX002"].contains(&code.as_ref())) {
        return StoreError::Corrupt("a table or an index of the database is damaged");
    }
    let code = code.filter(|code| code.len() < 5).and_then(|code| code.parse::<i32>().ok());
    match code.map(|code| code & 0xff) {
        Some(11) => StoreError::Corrupt("the database file is damaged"),
        Some(26) => StoreError::Corrupt("the file is not an SQLite database"),
        _ => StoreError::Unavailable(Box::new(error)),
    }
}

/// A commit fails for certain when the server says why. When it is on its way down, or says nothing,
/// the commit may be on disk.
fn commit_error(error: StoreError) -> StoreError {
    match error {
        StoreError::Unavailable(source) if !source.downcast_ref().is_some_and(is_refusal) => {
            StoreError::Unavailable(Box::new(OutcomeUnknown(source)))
        }
        other => other,
    }
}

/// Classes 08, 57, 58 and XX: connections, operators, the system, defects.
fn is_refusal(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|e| e.code());
    code.is_some_and(|code| !["08", "57", "58", "XX"].iter().any(|class| code.starts_with(class)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_character_that_postgresql_does_not_know_is_replaced_and_nothing_else() {
        assert_eq!(text_without_nul("a\0b"), "a\u{fffd}b");
        for text in ["", "\0", "a\0\0b", "\\\0", "\\u0000", "\\\\u0000\0", "\"\n\u{7}\u{10ffff}"] {
            let json = serde_json::to_string(&[text]).unwrap();
            let kept: Vec<String> = serde_json::from_str(&json_without_nul(&json)).unwrap();
            assert_eq!(kept, [text.replace('\0', "\u{fffd}")], "{json}");
        }
    }
}
