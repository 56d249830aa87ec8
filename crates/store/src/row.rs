//! A row of an answer, of either engine.

use opencpm_operations::port::StoreError;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{ColumnIndex, Row as _};

/// A row of an answer.
pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

/// What a column holds.
pub(crate) trait Raw: Sized {
    /// Reads the column; `None` where it is null.
    fn get(row: &Row, name: &'static str) -> Result<Option<Self>, StoreError>;
}

macro_rules! raw {
    ($($raw:ty)+) => {$(
        impl Raw for $raw {
            fn get(row: &Row, name: &'static str) -> Result<Option<Self>, StoreError> {
                let got = match row {
                    Row::Sqlite(row) => row.try_get(name),
                    Row::Postgres(row) => row.try_get(name),
                };
                got.map_err(|_| StoreError::Corrupt(name))
            }
        }
    )+};
}

raw! { i64 String Vec<u8> }

impl Raw for bool {
    /// SQLite has numbers for them.
    fn get(row: &Row, name: &'static str) -> Result<Option<Self>, StoreError> {
        match row {
            Row::Sqlite(_) => match i64::get(row, name)? {
                None => Ok(None),
                Some(0) => Ok(Some(false)),
                Some(1) => Ok(Some(true)),
                Some(_) => Err(StoreError::Corrupt(name)),
            },
            Row::Postgres(row) => row.try_get(name).map_err(|_| StoreError::Corrupt(name)),
        }
    }
}

impl Row {
    /// The number in the first column.
    pub(crate) fn first_number(&self) -> Result<i64, StoreError> {
        let got = match self {
            Self::Sqlite(row) => first(row),
            Self::Postgres(row) => first(row),
        };
        got.map_err(|_| StoreError::Corrupt("an answer that is no number"))
    }
}

fn first<'r, R: sqlx::Row>(row: &'r R) -> Result<i64, sqlx::Error>
where
    usize: ColumnIndex<R>,
    i64: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
{
    row.try_get(0)
}
