//! The commands, one file each.

pub(crate) mod account;
mod confirmed;
pub(crate) mod device;
pub(crate) mod enrol_token;
pub(crate) mod key;
pub(crate) mod lab;
pub(crate) mod log;
pub(crate) mod maintenance;
pub(crate) mod migrate;
pub(crate) mod new_password;
mod new_token;
pub(crate) mod node;
mod progress;
pub(crate) mod reset_password;
pub(crate) mod secret_out;
pub(crate) mod serve;
pub(crate) mod store;
pub(crate) mod task;

use std::future::Future;

use opencpm_domain::{Condition, InstanceId};
use serde_json::{Value, json};
use tokio::runtime::Builder;

use crate::args::{Arguments, Command};
use crate::client::profile::{ProfileArgs, ProfileError};
use crate::client::{Client, ClientError};
use crate::exit::Exit;
use crate::output;
use crate::system::clock_and_random;

pub(crate) use progress::{Progress, wait_for};

/// Why a command did not do its work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    /// The request.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The service knows none of this id, or it is another account's.
    #[error("there is no device {0}")]
    NoDevice(InstanceId),
    /// Whom to ask, and as whom.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// The new password.
    #[error(transparent)]
    Password(#[from] new_password::PasswordError),
    /// The list of machines.
    #[error(transparent)]
    Instances(#[from] reset_password::InstancesError),
    /// A file that was to get a secret.
    #[error(transparent)]
    SecretOut(#[from] secret_out::SecretOutError),
    /// The configuration.
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    /// The service.
    #[error(transparent)]
    Serve(#[from] crate::serve::ServeError),
    /// The lab.
    #[error(transparent)]
    Lab(#[from] crate::lab::LabError),
    /// The machinery behind asynchronous work.
    #[error("the runtime cannot be started")]
    Runtime(#[source] std::io::Error),
}

impl CommandError {
    /// How the command ends.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Client(error) => error.exit(),
            Self::NoDevice(_) => Exit::of(Condition::NotFound),
            _ => Exit::LOCAL,
        }
    }

    /// What the service refused with, as it says so; `None` where it did not refuse.
    fn refusal(&self) -> Option<Value> {
        let (code, code_desc, message) = match self {
            Self::Client(ClientError::Refused { code, code_desc, message }) => {
                (*code, code_desc.as_str(), message.clone())
            }
            Self::NoDevice(_) => {
                let row = Condition::NotFound.row();
                (row.code?.into(), row.code_desc, self.to_string())
            }
            _ => return None,
        };
        Some(json!({ "code": code, "codeDesc": code_desc, "message": message }))
    }
}

/// Does what the command line asks.
pub(crate) fn run(arguments: Arguments) -> Result<Exit, CommandError> {
    let Arguments { profile, json, command, .. } = arguments;
    let asker = Asker { profile, json };
    match command {
        Command::Serve(serve) => serve.run(),
        Command::Migrate(migrate) => migrate.run(),
        Command::Store { what } => what.run(),
        Command::Lab(lab) => lab.run(),
        Command::ResetPassword(reset) => asker.run(|client, json| reset.run(client, json)),
        Command::Task { what } => asker.run(|client, json| what.run(client, json)),
        Command::Log(log) => asker.run(|client, json| log.run(client, json)),
        Command::Device { what } => asker.run(|client, json| what.run(client, json)),
        Command::EnrolToken { what } => asker.run(|client, json| what.run(client, json)),
        Command::Node { what } => asker.run(|client, json| what.run(client, json)),
        Command::Key { what } => asker.run(|client, json| what.run(client, json)),
        Command::Account { what } => asker.run(|client, json| what.run(client, json)),
        Command::Maintenance { what } => asker.run(|client, json| what.run(client, json)),
    }
}

/// Runs the commands that ask the service.
struct Asker {
    profile: ProfileArgs,
    json: bool,
}

impl Asker {
    fn run<F: Future<Output = Result<Exit, CommandError>>>(
        self,
        ask: impl FnOnce(Client, bool) -> F,
    ) -> Result<Exit, CommandError> {
        let (clock, random) = clock_and_random();
        let runtime =
            Builder::new_current_thread().enable_all().build().map_err(CommandError::Runtime)?;
        let client = Client::new(self.profile.load()?, clock, random)?;
        let ended = runtime.block_on(ask(client, self.json));
        if self.json
            && let Some(refusal) = ended.as_ref().err().and_then(CommandError::refusal)
        {
            output::json(&refusal);
        }
        ended
    }
}
