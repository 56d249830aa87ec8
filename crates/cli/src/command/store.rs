//! `opencpm store`: the way from the embedded database to PostgreSQL, and back.

mod copy;
mod reopen;

use clap::Subcommand;

use super::CommandError;
use crate::exit::Exit;

#[derive(Subcommand)]
pub(crate) enum Store {
    /// Copy the SQLite database to an empty PostgreSQL database (store.url), and compare the two
    Copy(copy::Copy),
    /// Take up again an SQLite database that was copied, without what happened since
    Reopen(reopen::Reopen),
}

impl Store {
    pub(crate) fn run(self) -> Result<Exit, CommandError> {
        match self {
            Self::Copy(copy) => copy.run(),
            Self::Reopen(reopen) => reopen.run(),
        }
    }
}
