//! The Store port, kept in SQLite (one file, for one process) or in PostgreSQL (for several nodes).
//!
//! The port's methods and what they ask in SQL are written once (`engine`, `statements`); an engine
//! is a way to read one snapshot and to write all or nothing. A further database gets a folder
//! beside `sqlite` and `postgres`, migrations that mean the same, and one line in `tests/`, where
//! the contract's tests are written once.

#![forbid(unsafe_code)]

mod column;
mod copy;
mod engine;
mod postgres;
mod row;
mod session;
mod sqlite;
mod statement;
mod statements;

pub use copy::{CopiedTable, CopyError, StoreCopy};
pub use postgres::{Migration, OptionsError, PostgresOptions, PostgresStore, SchemaError};
pub use sqlite::{OpenError, SqliteStore};
