use opencpm_domain::Refusal;

use super::{Administrator, write};
use crate::port::Change;
use crate::refusal::store_refusal;
use crate::role::ApiRole;
use crate::row::Maintenance;

/// Begins maintenance with a message for callers, or replaces the message; `None` ends it. Both
/// may be asked for again. Requests that are being carried out are finished.
pub async fn modify_maintenance(
    role: &ApiRole,
    by: Administrator,
    message: Option<String>,
) -> Result<(), Refusal> {
    let (subject, change) = match message {
        Some(message) => {
            let begun = Maintenance { since: role.clock.now(), message };
            ("maintenance on", Change::BeginMaintenance(begun))
        }
        None => ("maintenance off", Change::EndMaintenance),
    };
    write(role, by, "ModifyMaintenance", subject.to_owned(), change).await
}

/// Whether there is maintenance.
pub async fn describe_maintenance(role: &ApiRole) -> Result<Option<Maintenance>, Refusal> {
    role.store.maintenance().await.map_err(store_refusal)
}
