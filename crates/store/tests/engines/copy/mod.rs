//! From an SQLite file to a PostgreSQL database.

mod cuts;
mod moving;
mod refusals;
mod world;
