//! `opencpm key`: who may ask. Needs a key with the admin permission; temporary keys can be made
//! with any.

mod scope;

use clap::Subcommand;
use opencpm_domain::{AppId, SecretId, Uin};
use serde_json::Value;

use super::CommandError;
use super::account::app_id;
use super::secret_out::SecretOut;
use crate::client::answer::NewKey;
use crate::client::profile::Profile;
use crate::client::{Client, Parameters, read};
use crate::exit::Exit;
use crate::output::{self, clean, field, tell};
use scope::ScopeArgs;

#[derive(Subcommand)]
pub(crate) enum Key {
    /// Make a key; writes a profile for --profile with its secret, which is told only once
    Create {
        /// The account that it acts for
        #[arg(long, value_parser = app_id)]
        app_id: AppId,
        /// The user that it acts for; the operation log records it
        #[arg(long, default_value = "1")]
        uin: Uin,
        #[command(flatten)]
        scope: ScopeArgs,
        /// New file for the profile, or - for standard output
        #[arg(long, value_name = "FILE")]
        out: SecretOut,
    },
    /// Make a key that ends by itself, with no more rights than the one that asks
    Temporary {
        /// How long it is good for, such as 30m or 1h: a minute to twelve hours
        #[arg(long, value_name = "TIME", value_parser = seconds)]
        ttl: u64,
        /// The account that it acts for; of the key that asks unless given
        #[arg(long, value_parser = app_id)]
        app_id: Option<AppId>,
        /// The user that it acts for; of the key that asks unless given
        #[arg(long)]
        uin: Option<Uin>,
        #[command(flatten)]
        scope: ScopeArgs,
        /// New file for the profile, or - for standard output
        #[arg(long, value_name = "FILE")]
        out: SecretOut,
    },
    /// List keys, without their secrets
    List {
        /// Only of this account
        #[arg(long, value_parser = app_id)]
        app_id: Option<AppId>,
    },
    /// Disable a key: from then on it is as if unknown
    Disable {
        /// The public half
        key: SecretId,
    },
    /// Enable a disabled key again
    Enable {
        /// The public half
        key: SecretId,
    },
}

impl Key {
    pub(crate) async fn run(self, client: Client, json: bool) -> Result<Exit, CommandError> {
        match self {
            Self::Create { app_id, uin, scope, out } => {
                let parameters = Parameters::new().with("appId", app_id).with("uin", uin);
                create(&client, "CreateApiKey", scope.over(parameters), &out, json).await?;
            }
            Self::Temporary { ttl, app_id, uin, scope, out } => {
                let parameters = Parameters::new()
                    .with("validSeconds", ttl)
                    .with_some("appId", app_id)
                    .with_some("uin", uin);
                create(&client, "CreateTemporaryKey", scope.over(parameters), &out, json).await?;
            }
            Self::List { app_id } => {
                let parameters = Parameters::new().with_some("appId", app_id);
                let data = client.call("DescribeApiKeys", parameters).await?;
                if json { output::json(&data) } else { show(&data) }
            }
            Self::Disable { key } => switch(&client, &key, true, json).await?,
            Self::Enable { key } => switch(&client, &key, false, json).await?,
        }
        Ok(Exit::DONE)
    }
}

async fn create(
    client: &Client,
    action: &'static str,
    parameters: Parameters,
    out: &SecretOut,
    json: bool,
) -> Result<(), CommandError> {
    out.check()?;
    let data = client.call(action, parameters).await?;
    let answer = json.then(|| data.clone());
    let key: NewKey = read(action, data)?;
    let profile = Profile {
        secret_id: key.secret_id.clone(),
        secret_key: key.secret_key,
        token: key.token,
        ..client.profile().clone()
    };
    let (what, text) = (format!("the profile of key {}", clean(&key.secret_id)), profile.to_toml());
    match answer {
        Some(answer) => out.put_with_answer(&what, &text, (answer, &["secretKey", "token"]))?,
        None => out.put(&what, &text)?,
    }
    Ok(())
}

/// Reads a length of time of the command line.
fn seconds(text: &str) -> Result<u64, String> {
    let time: Result<jiff::SignedDuration, _> = text.parse();
    let seconds = time.ok().and_then(|time| u64::try_from(time.as_secs()).ok());
    seconds.ok_or_else(|| "expected a length of time, such as 30m or 1h".to_owned())
}

async fn switch(
    client: &Client,
    key: &SecretId,
    disabled: bool,
    json: bool,
) -> Result<(), CommandError> {
    let parameters = Parameters::new().with("keyId", key).with("disabled", u8::from(disabled));
    let data = client.call("ModifyApiKey", parameters).await?;
    let state = if disabled { "disabled" } else { "enabled" };
    tell(json, &data, &format!("key {key} is {state}"));
    Ok(())
}

fn show(data: &Value) {
    let keys = data["keyList"].as_array().into_iter().flatten();
    let rows = keys.map(|key| {
        let states = [("admin", "admin"), ("disabled", "disabled"), ("temporary", "temporary")];
        let marks = states.iter().filter(|(name, _)| field(key, name) == "true");
        let marks: Vec<_> = marks.map(|(_, text)| *text).collect();
        let [id, account, uin, expires] =
            ["secretId", "appId", "uin", "expireTime"].map(|name| field(key, name));
        [id, account, uin, actions(key), devices(key), expires, marks.join(", ")]
    });
    let header = ["key", "app id", "uin", "actions", "devices", "expires", ""];
    output::table(header, rows.collect(), "no keys");
}

/// The actions that a key may use.
fn actions(key: &Value) -> String {
    key.get("actions").map_or_else(|| "all".to_owned(), |list| texts(list).join(", "))
}

/// The devices of a key, by id and by tag.
fn devices(key: &Value) -> String {
    let Some(devices) = key.get("devices") else { return "all".to_owned() };
    let mut own = texts(&devices["instanceIds"]);
    for tag in devices["tags"].as_array().into_iter().flatten() {
        let key = field(tag, "tagKey");
        let values = texts(&tag["tagValues"]);
        own.push(if values.is_empty() { key } else { format!("{key}={}", values.join("|")) });
    }
    own.join(", ")
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(clean).collect()
}
