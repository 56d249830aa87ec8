//! Administration: accounts, keys, devices, tokens. For keys with the `admin` permission, of
//! every account; temporary keys, for every key. Each change is audited and cannot be replayed.

mod accounts;
mod api_keys;
mod devices;
mod enrolment_tokens;
mod maintenance;
mod nodes;
mod temporary_keys;

pub use accounts::{create_account, describe_accounts, modify_account};
pub use api_keys::{
    KeyMaterial, MadeKey, NewApiKey, create_api_key, describe_api_keys, disable_api_key,
    new_api_key,
};
pub use devices::{NewDevice, create_device, describe_any_devices, modify_device};
pub use enrolment_tokens::{MadeToken, NewEnrolmentToken, create_enrolment_token};
pub use maintenance::{describe_maintenance, modify_maintenance};
pub(crate) use nodes::check_node_names;
pub use nodes::{NewNodeToken, create_node_token, describe_nodes, revoke_node};
pub use temporary_keys::{MadeTemporaryKey, NewTemporaryKey, create_temporary_key};

use opencpm_domain::{Condition, Refusal};

use crate::authenticate::Caller;
use crate::port::{AdminChange, Administered, Change};
use crate::refusal::change_refusal;
use crate::role::ApiRole;
use crate::row::{AuditEntry, Unique};

/// Who changes something, and what makes the request unique.
#[derive(Clone, Debug)]
pub struct Administrator {
    /// The caller.
    pub caller: Caller,
    /// What makes the request unique.
    pub unique: Unique,
}

/// Writes a change with its audit entry and replay record.
async fn write(
    role: &ApiRole,
    by: Administrator,
    action: &str,
    subject: String,
    what: Change,
) -> Result<(), Refusal> {
    let audit = AuditEntry {
        at: role.clock.now(),
        secret_id: Some(by.caller.secret_id),
        uin: Some(by.caller.uin),
        action: action.to_owned(),
        subject: subject.clone(),
    };
    let change = AdminChange { what, audit, unique: Some(by.unique) };
    match role.store.administer(change).await.map_err(change_refusal)? {
        Administered::Done => Ok(()),
        Administered::Replayed => Err(Condition::Replayed.into()),
        Administered::Exists => {
            Err(Refusal::new(Condition::ParameterInvalid, format!("{subject} exists already")))
        }
        Administered::Missing => {
            Err(Refusal::new(Condition::NotFound, format!("there is no {subject}")))
        }
    }
}
