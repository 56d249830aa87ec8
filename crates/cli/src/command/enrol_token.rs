//! `opencpm enrol-token`: lets machines enrol. Needs a key with the admin permission.

use clap::Subcommand;
use opencpm_domain::{AppId, InstanceId};

use super::CommandError;
use super::account::app_id;
use super::new_token::NewTokenArguments;
use crate::client::{Client, Parameters};
use crate::exit::Exit;

#[derive(Subcommand)]
pub(crate) enum EnrolToken {
    /// Make a token; on a machine: opencpm-agent enroll --token-file FILE
    Create {
        /// The account that the machines come into
        #[arg(long, value_parser = app_id)]
        app_id: AppId,
        /// Enrols this device again, and no other
        #[arg(long, value_name = "ID")]
        device: Option<InstanceId>,
        #[command(flatten)]
        token: NewTokenArguments,
    },
}

impl EnrolToken {
    pub(crate) async fn run(self, client: Client, json: bool) -> Result<Exit, CommandError> {
        let Self::Create { app_id, device, token } = self;
        let special = Parameters::new().with("appId", app_id).with_some("instanceId", device);
        token.make(&client, json, "CreateEnrolmentToken", special).await?;
        Ok(Exit::DONE)
    }
}
