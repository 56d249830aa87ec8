//! `opencpm account`: whose machines they are. Needs a key with the admin permission.

use clap::Subcommand;
use opencpm_domain::AppId;
use serde_json::Value;

use super::CommandError;
use crate::client::{Client, Parameters};
use crate::exit::Exit;
use crate::output::{self, field, tell};

#[derive(Subcommand)]
pub(crate) enum Account {
    /// Make an account
    Create {
        /// Its app id, such as 1251000000
        #[arg(value_parser = app_id)]
        app_id: AppId,
        /// A name for people
        #[arg(long)]
        name: String,
    },
    /// Refuse an account's requests from now on
    Block {
        /// Its app id
        #[arg(value_parser = app_id)]
        app_id: AppId,
    },
    /// Take a blocked account's requests again
    Unblock {
        /// Its app id
        #[arg(value_parser = app_id)]
        app_id: AppId,
    },
    /// List all accounts
    List,
}

/// Reads an app id of the command line.
pub(super) fn app_id(text: &str) -> Result<AppId, String> {
    let number = text.parse().map_err(|_| "an app id is a number".to_owned())?;
    AppId::new(number).map_err(|error| error.to_string())
}

impl Account {
    pub(crate) async fn run(self, client: Client, json: bool) -> Result<Exit, CommandError> {
        match self {
            Self::Create { app_id, name } => {
                let parameters = Parameters::new().with("appId", app_id).with("name", name);
                let data = client.call("CreateAccount", parameters).await?;
                tell(json, &data, &format!("account {app_id} is made"));
            }
            Self::Block { app_id } => switch(&client, app_id, true, json).await?,
            Self::Unblock { app_id } => switch(&client, app_id, false, json).await?,
            Self::List => {
                let data = client.call("DescribeAccounts", Parameters::new()).await?;
                if json {
                    output::json(&data);
                } else {
                    show(&data);
                }
            }
        }
        Ok(Exit::DONE)
    }
}

async fn switch(
    client: &Client,
    app_id: AppId,
    blocked: bool,
    json: bool,
) -> Result<(), CommandError> {
    let parameters = Parameters::new().with("appId", app_id).with("blocked", u8::from(blocked));
    let data = client.call("ModifyAccount", parameters).await?;
    let state = if blocked { "blocked" } else { "not blocked" };
    tell(json, &data, &format!("account {app_id} is {state}"));
    Ok(())
}

fn show(data: &Value) {
    let accounts = data["accountList"].as_array().into_iter().flatten();
    let rows = accounts.map(|account| {
        let state = if field(account, "blocked") == "true" { "blocked" } else { "" };
        [field(account, "appId"), field(account, "name"), state.to_owned()]
    });
    output::table(["app id", "name", ""], rows.collect(), "no accounts");
}
