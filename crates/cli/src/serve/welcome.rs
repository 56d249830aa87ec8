//! What the service says when it starts: at the first start what it made, what to keep where and
//! what to do next. Secrets are in files, never on the terminal.

use opencpm_operations::administer::MadeKey;
use secrecy::ExposeSecret;

use super::ServeError;
use super::deployment::{ADMIN, CA, DATABASE, ROOT_PUBLIC};
use super::names::host_and_port;
use super::sockets::Addresses;
use crate::client::profile::Profile;
use crate::config::Config;
use crate::files;
use crate::output::hint;

/// Logs where the service is.
pub(super) fn log(addresses: &Addresses) {
    let api = addresses.https.map(|address| address.to_string());
    let plain = addresses.http.map(|address| address.to_string());
    let metrics = addresses.metrics.map(|address| address.to_string());
    tracing::info!(
        api = %api.as_deref().unwrap_or("off"),
        http = plain.as_deref().unwrap_or("off"),
        agents = %addresses.agents,
        metrics = metrics.as_deref().unwrap_or("off"),
        "serving"
    );
}

/// Keeps the first key in a profile for the command line.
pub(super) fn keep_first_key(
    config: &Config,
    addresses: &Addresses,
    key: MadeKey,
) -> Result<(), ServeError> {
    let port = addresses.https.unwrap_or(config.api.listen).port();
    let endpoint = format!("https://{}", host_and_port(&config.api.names, port));
    let path = config.dir.join(ADMIN);
    let profile = Profile {
        endpoint,
        ca: config.api.certificate.is_none().then(|| CA.into()),
        secret_id: key.secret_id.as_str().to_owned(),
        secret_key: key.secret_key,
        token: None,
    };
    files::replace_secret(&path, profile.to_toml().expose_secret())
        .map_err(|error| ServeError::File(path, error))
}

/// What the first start made, what to keep where, and what to do next.
pub(super) fn explain(config: &Config) {
    let file = |name: &str| config.dir.join(name).display().to_string();
    hint(&format!(
        "\
This was the first start. It made a deployment in {dir}:

  {root}
      The root key. MOVE IT OFFLINE: whoever has it can take over every machine. It is needed
      once a year, to renew the trust statement: put it back, start the service, take it away.
  {master}
      The master key. Keep a copy, not where the database's backup is: without it the database
      cannot be read, with it a stolen database can.
  {database}
      Everything else. Back it up together with {public}.
  {admin}
      The administrator's key, a profile for the command line. Move it to the administrator.

Next:
  opencpm --profile {admin} enrol-token create --app-id {app} --out token
  on a machine:  opencpm-agent enroll --token-file token && opencpm-agent run
  opencpm --profile {admin} device list
",
        dir = config.dir.display(),
        root = config.root_key().display(),
        master = config.master_key().display(),
        database = file(DATABASE),
        public = ROOT_PUBLIC,
        admin = file(ADMIN),
        app = config.first.app_id,
    ));
}
