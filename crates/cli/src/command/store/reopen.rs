//! `opencpm store reopen`: takes the mark of the copy from the SQLite database in the folder, once
//! somebody has seen what that means.

use clap::Args;
use tokio::runtime::Builder;

use crate::command::CommandError;
use crate::command::confirmed::is_confirmed;
use crate::config::{Config, Flags};
use crate::exit::Exit;
use crate::{output, serve};

#[derive(Args)]
pub(crate) struct Reopen {
    #[command(flatten)]
    flags: Flags,
    /// Do it without asking
    #[arg(long)]
    yes: bool,
}

impl Reopen {
    pub(crate) fn run(self) -> Result<Exit, CommandError> {
        let config = Config::load(&self.flags)?;
        output::line(
            "the SQLite database is taken up again as it was when it was copied. What happened in \
             the other one since is not known to it: tasks, machines that enrolled, keys that were \
             disabled, requests that were used. Stop every service on the other one first, for good",
        );
        if !self.yes && !is_confirmed() {
            output::line("nothing was changed");
            return Ok(Exit::LOCAL);
        }
        let runtime =
            Builder::new_current_thread().enable_all().build().map_err(CommandError::Runtime)?;
        let was_moved = runtime.block_on(serve::reopen(&config))?;
        output::line(match was_moved {
            true => "it can be served again: take store.url out of the configuration",
            false => "it was not copied, and is as it was",
        });
        Ok(Exit::DONE)
    }
}
