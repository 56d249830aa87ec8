//! The command line.

use clap::{Parser, Subcommand};

use crate::client::profile::ProfileArgs;
use crate::command;

/// Resets root's password on fleets of physical machines, and proves it.
///
/// Exit codes: 0 done; 1 something on this side; 2 wrong usage; 3 some machines failed; 4 no
/// machine succeeded; 5 not finished (task show); 10 to 14 the service refused (who asks, what is
/// asked, not now, a machine's agent, the service itself). Of task verify: 0 every success is
/// proved, 3 some are, 4 none is.
#[derive(Parser)]
#[command(name = "opencpm", version, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) profile: ProfileArgs,
    /// Answer in JSON, as the service sent it
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// What to log to standard error, such as info or opencpm=debug (else RUST_LOG)
    #[arg(long, value_name = "FILTER", global = true)]
    pub(crate) log: Option<String>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run the service
    Serve(command::serve::Serve),
    /// Bring the schema of a PostgreSQL database up to date
    Migrate(command::migrate::Migrate),
    /// Move from the SQLite database to PostgreSQL, and back
    Store {
        #[command(subcommand)]
        what: command::store::Store,
    },
    /// Bring up a whole deployment with real agents on scratch roots, to try out
    Lab(command::lab::Lab),
    /// Set root's password on machines
    ResetPassword(command::reset_password::ResetPassword),
    /// Look at a task
    Task {
        #[command(subcommand)]
        what: command::task::Task,
    },
    /// What was done to a machine, newest first
    Log(command::log::Log),
    /// Machines
    Device {
        #[command(subcommand)]
        what: command::device::Device,
    },
    /// Make a token with which machines enrol
    #[command(name = "enrol-token")]
    EnrolToken {
        #[command(subcommand)]
        what: command::enrol_token::EnrolToken,
    },
    /// Processes that hold agents' connections and have no key of the deployment
    Node {
        #[command(subcommand)]
        what: command::node::Node,
    },
    /// API keys
    Key {
        #[command(subcommand)]
        what: command::key::Key,
    },
    /// Accounts
    Account {
        #[command(subcommand)]
        what: command::account::Account,
    },
    /// Refuse changes for a while, and let reads work
    Maintenance {
        #[command(subcommand)]
        what: command::maintenance::Maintenance,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn no_command_takes_a_password_as_an_argument() {
        let reset = Arguments::command();
        let reset = reset.find_subcommand("reset-password").unwrap();
        let mut names = reset.get_arguments().map(|argument| argument.get_id().as_str());
        assert!(!names.any(|name| matches!(name, "password" | "passwd")));
    }
}
