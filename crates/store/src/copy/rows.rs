//! Rows in the form of PostgreSQL's binary `COPY`
//! (<https://www.postgresql.org/docs/15/sql-copy.html>): what it takes, and what it gives again. A
//! table in the order of its key has one such form and no other, so it serves as the form of which
//! checksums are taken, too.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::CopyError;
use super::catalogue::{Column, Kind, Table};
use crate::session::text_without_nul;

/// What comes before the first row: signature, no flags, no extension.
pub(super) const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// What comes after the last row.
pub(super) const TRAILER: &[u8] = &(-1_i16).to_be_bytes();

/// Adds a row of SQLite, with the columns of the table in their order.
pub(super) fn push(table: &Table, row: &SqliteRow, out: &mut Vec<u8>) -> Result<(), CopyError> {
    let number = i16::try_from(table.columns.len());
    let number = number.map_err(|_| CopyError::Schemas(table.name.clone()))?;
    out.extend(number.to_be_bytes());
    for (index, column) in table.columns.iter().enumerate() {
        push_value(column, row, index, out).map_err(|what| CopyError::Value {
            table: table.name.clone(),
            column: column.name.clone(),
            what,
        })?;
    }
    Ok(())
}

fn push_value(
    column: &Column,
    row: &SqliteRow,
    index: usize,
    out: &mut Vec<u8>,
) -> Result<(), &'static str> {
    match column.kind {
        Kind::Integer => {
            let number: Option<i64> = value(row, index)?;
            push_field(number.map(i64::to_be_bytes).as_ref().map(<[u8; 8]>::as_slice), out)
        }
        Kind::Truth => match value(row, index)? {
            None => push_field(None, out),
            Some(0) => push_field(Some(&[0]), out),
            Some(1) => push_field(Some(&[1]), out),
            Some::<i64>(_) => Err("a number that is neither true nor false"),
        },
        Kind::Text => match value::<&str>(row, index)? {
            None => push_field(None, out),
            // In a key it could become the key of another row.
            Some(text) if column.key.is_some() && text.contains('\0') => {
                Err("a character U+0000, which PostgreSQL does not know")
            }
            Some(text) => push_field(Some(text_without_nul(text).as_bytes()), out),
        },
        Kind::Bytes => push_field(value(row, index)?, out),
    }
}

fn value<'r, T>(row: &'r SqliteRow, index: usize) -> Result<Option<T>, &'static str>
where
    T: sqlx::Decode<'r, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>,
{
    row.try_get(index).map_err(|_| "a value of another type")
}

/// Its length, or that it is null, and its bytes.
fn push_field(bytes: Option<&[u8]>, out: &mut Vec<u8>) -> Result<(), &'static str> {
    let Some(bytes) = bytes else {
        out.extend((-1_i32).to_be_bytes());
        return Ok(());
    };
    let length = i32::try_from(bytes.len()).map_err(|_| "a value of more than 2 GiB")?;
    out.extend(length.to_be_bytes());
    out.extend(bytes);
    Ok(())
}
