//! `opencpm store copy`: from the SQLite database in the folder to the PostgreSQL database of the
//! configuration, once somebody has seen what is going to be copied.

use clap::Args;
use opencpm_store::CopiedTable;
use tokio::runtime::Builder;

use crate::command::CommandError;
use crate::command::confirmed::is_confirmed;
use crate::config::{Config, Flags};
use crate::exit::Exit;
use crate::{output, serve};

#[derive(Args)]
pub(crate) struct Copy {
    #[command(flatten)]
    flags: Flags,
    /// Do it without asking
    #[arg(long)]
    yes: bool,
}

impl Copy {
    pub(crate) fn run(self) -> Result<Exit, CommandError> {
        let config = Config::load(&self.flags)?;
        let runtime =
            Builder::new_current_thread().enable_all().build().map_err(CommandError::Runtime)?;
        let mut copy = runtime.block_on(serve::Copy::prepare(&config))?;
        output::line(&format!("to be copied, while no service runs on either:\n{copy}"));
        let tables = runtime.block_on(copy.tables())?;
        let line = |(name, rows): (String, u64)| [name, rows.to_string()];
        output::table(["TABLE", "ROWS"], tables.into_iter().map(line).collect(), "nothing");
        if !self.yes && !is_confirmed() {
            output::line("nothing was changed");
            return Ok(Exit::LOCAL);
        }
        let copied = runtime.block_on(copy.run())?;
        output::line("copied; read again from both databases, and the same:");
        let line = |table: CopiedTable| [table.name, table.rows.to_string(), table.checksum];
        let copied = copied.into_iter().map(line).collect();
        output::table(["TABLE", "ROWS", "SHA-256"], copied, "nothing");
        output::hint("the SQLite database stays as it is, and no service starts on it any more");
        Ok(Exit::DONE)
    }
}
