//! The ready file: what automation needs to know of a lab.

use std::path::Path;

use opencpm_domain::InstanceId;
use secrecy::ExposeSecret;
use serde_json::json;

use super::LabError;
use super::deployment::Deployment;
use super::machine::Machines;
use crate::files;

/// Writes the file, readable by its owner only and complete from the first moment.
pub(super) fn write(
    path: &Path,
    deployment: &Deployment,
    machines: &Machines,
    simulated: &[InstanceId],
) -> Result<(), LabError> {
    let profile = deployment.profile();
    let devices = machines.main.iter().map(|machine| {
        json!({
            "instance_id": machine.instance.as_str(),
            "root": machine.root,
            "alive": machine.alive,
        })
    });
    let ready = json!({
        "http": deployment.http(),
        "https": deployment.https(),
        "ca": deployment.ca(),
        "secret_id": profile.secret_id,
        "secret_key": profile.secret_key.expose_secret(),
        "devices": devices.collect::<Vec<_>>(),
        "simulated": simulated.iter().map(InstanceId::as_str).collect::<Vec<_>>(),
        "other_account": {
            "secret_id": deployment.other_key.secret_id,
            "secret_key": deployment.other_key.secret_key.expose_secret(),
            "instance_id": machines.other.instance.as_str(),
        },
    });
    files::replace_secret(path, &format!("{ready:#}\n"))
        .map_err(|error| LabError::Ready(path.to_owned(), error))
}
