//! What all commands that make a token have in common.

use clap::Args;

use super::CommandError;
use super::secret_out::SecretOut;
use crate::client::answer::NewToken;
use crate::client::{Client, Parameters, read};

#[derive(Args)]
pub(crate) struct NewTokenArguments {
    /// How many may use it
    #[arg(long, value_name = "N")]
    uses: Option<u32>,
    /// Valid for so many hours; 24 unless given
    #[arg(long, value_name = "HOURS")]
    hours: Option<u32>,
    /// New file for the token, or - for standard output
    #[arg(long, value_name = "FILE")]
    out: SecretOut,
}

impl NewTokenArguments {
    /// Has it made by `action`, of what is special to the kind, and puts it where it shall be.
    pub(crate) async fn make(
        self,
        client: &Client,
        json: bool,
        action: &'static str,
        special: Parameters,
    ) -> Result<(), CommandError> {
        self.out.check()?;
        let parameters = special
            .with_some("uses", self.uses)
            .with_some("validSeconds", self.hours.map(|hours| u64::from(hours) * 3600));
        let data = client.call(action, parameters).await?;
        let answer = json.then(|| data.clone());
        let NewToken { token } = read(action, data)?;
        match answer {
            Some(answer) => self.out.put_with_answer("the token", &token, (answer, &["token"]))?,
            None => self.out.put("the token", &token)?,
        }
        Ok(())
    }
}
