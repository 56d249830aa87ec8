//! `opencpm migrate`: brings the schema of a PostgreSQL database up to date, once somebody has seen
//! what is going to be done. An SQLite file is brought up to date when the service starts.

use clap::Args;
use tokio::runtime::Builder;

use super::CommandError;
use super::confirmed::is_confirmed;
use crate::config::{Config, Flags};
use crate::exit::Exit;
use crate::{output, serve};

#[derive(Args)]
pub(crate) struct Migrate {
    #[command(flatten)]
    flags: Flags,
    /// Do it without asking
    #[arg(long)]
    yes: bool,
}

impl Migrate {
    pub(crate) fn run(self) -> Result<Exit, CommandError> {
        let config = Config::load(&self.flags)?;
        let Some(schema) = serve::Schema::of(&config)? else {
            output::line(
                "the database is SQLite: it is brought up to date when the service starts",
            );
            return Ok(Exit::DONE);
        };
        let runtime =
            Builder::new_current_thread().enable_all().build().map_err(CommandError::Runtime)?;
        let pending = runtime.block_on(schema.pending())?;
        if pending.is_empty() {
            output::line("the schema is up to date");
            return Ok(Exit::DONE);
        }
        output::line("to be done, while nodes of the former version go on:");
        for migration in pending {
            output::line(&format!("  {}  {}", migration.version, migration.description));
        }
        if !self.yes && !is_confirmed() {
            output::line("nothing was changed");
            return Ok(Exit::LOCAL);
        }
        runtime.block_on(schema.migrate())?;
        output::line("the schema is up to date");
        Ok(Exit::DONE)
    }
}
