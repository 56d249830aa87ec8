//! `opencpm maintenance`: reads work, changes are refused. Needs a key with the admin permission,
//! but to look.

use clap::Subcommand;
use serde_json::Value;

use super::CommandError;
use crate::client::{Client, Parameters};
use crate::exit::Exit;
use crate::output::{self, field, tell};

#[derive(Subcommand)]
pub(crate) enum Maintenance {
    /// Refuse resets and administration from now on; what was begun is finished
    On {
        /// What callers are told
        #[arg(long, default_value = "")]
        message: String,
    },
    /// Take all requests again
    Off,
    /// Tell whether the service is under maintenance
    Show,
}

impl Maintenance {
    pub(crate) async fn run(self, client: Client, json: bool) -> Result<Exit, CommandError> {
        let modify = |on: u8| Parameters::new().with("enabled", on);
        match self {
            Self::On { message } => {
                let parameters = modify(1).with("message", message);
                let data = client.call("ModifyMaintenance", parameters).await?;
                tell(json, &data, "changes are refused from now on");
            }
            Self::Off => {
                let data = client.call("ModifyMaintenance", modify(0)).await?;
                tell(json, &data, "all requests are taken");
            }
            Self::Show => {
                let data = client.call("DescribeMaintenance", Parameters::new()).await?;
                if json { output::json(&data) } else { show(&data) }
            }
        }
        Ok(Exit::DONE)
    }
}

fn show(data: &Value) {
    if field(data, "enabled") != "true" {
        return output::line("not under maintenance");
    }
    let (since, message) = (field(data, "startTime"), field(data, "message"));
    let message = if message.is_empty() { message } else { format!(": {message}") };
    output::line(&format!("under maintenance since {since}{message}"));
}
