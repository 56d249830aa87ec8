//! `opencpm serve`: the service.

use clap::Args;

use super::CommandError;
use crate::config::{Config, Flags};
use crate::exit::Exit;
use crate::{output, serve};

#[derive(Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    flags: Flags,
    /// Check configuration and key files, and stop
    #[arg(long)]
    check: bool,
}

impl Serve {
    pub(crate) fn run(self) -> Result<Exit, CommandError> {
        let config = Config::load(&self.flags)?;
        if self.check {
            serve::check(&config)?;
            output::line("the configuration is good");
            return Ok(Exit::DONE);
        }
        serve::run(config)?;
        Ok(Exit::DONE)
    }
}
