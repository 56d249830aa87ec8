//! `opencpm enrol-token`: lets machines enrol. Needs a key with the admin permission.

use clap::Subcommand;
use opencpm_domain::{AppId, InstanceId};

use super::CommandError;
use super::account::app_id;
use super::secret_out::SecretOut;
use crate::client::answer::NewToken;
use crate::client::{Client, Parameters, read};
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
        /// How many machines may use it
        #[arg(long, value_name = "N")]
        uses: Option<u32>,
        /// Valid for so many hours; 24 unless given
        #[arg(long, value_name = "HOURS")]
        hours: Option<u32>,
        /// New file for the token, or - for standard output
        #[arg(long, value_name = "FILE")]
        out: SecretOut,
    },
}

impl EnrolToken {
    pub(crate) async fn run(self, client: Client, json: bool) -> Result<Exit, CommandError> {
        let Self::Create { app_id, device, uses, hours, out } = self;
        out.check()?;
        let parameters = Parameters::new()
            .with("appId", app_id)
            .with_some("instanceId", device)
            .with_some("uses", uses)
            .with_some("validSeconds", hours.map(|hours| u64::from(hours) * 3600));
        let data = client.call("CreateEnrolmentToken", parameters).await?;
        let answer = json.then(|| data.clone());
        let NewToken { token } = read("CreateEnrolmentToken", data)?;
        match answer {
            Some(answer) => out.put_with_answer("the token", &token, (answer, &["token"]))?,
            None => out.put("the token", &token)?,
        }
        Ok(Exit::DONE)
    }
}
