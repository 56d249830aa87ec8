//! The Store port, kept in SQLite: one file, for one process.
//!
//! A further database gets a folder beside `sqlite` with the same file names, migrations
//! that mean the same, and one line in `tests/`, where the contract's tests are written once.

#![forbid(unsafe_code)]

mod sqlite;

pub use sqlite::{OpenError, SqliteStore};
