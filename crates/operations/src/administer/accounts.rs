use opencpm_domain::{AppId, Condition, Refusal};

use super::{Administrator, write};
use crate::port::Change;
use crate::refusal::store_refusal;
use crate::role::ApiRole;
use crate::row::Account;

/// Makes an account.
pub async fn create_account(
    role: &ApiRole,
    by: Administrator,
    app_id: AppId,
    name: String,
) -> Result<Account, Refusal> {
    let account = Account { app_id, name, blocked: false };
    let change = Change::CreateAccount(account.clone());
    write(role, by, "CreateAccount", format!("account {app_id}"), change).await?;
    Ok(account)
}

/// Renames, blocks or unblocks an account.
pub async fn modify_account(
    role: &ApiRole,
    by: Administrator,
    app_id: AppId,
    name: Option<String>,
    blocked: Option<bool>,
) -> Result<Account, Refusal> {
    let change = Change::ModifyAccount { app_id, name, blocked };
    write(role, by, "ModifyAccount", format!("account {app_id}"), change).await?;
    account(role, app_id).await
}

/// All accounts, by id.
pub async fn describe_accounts(role: &ApiRole) -> Result<Vec<Account>, Refusal> {
    role.store.accounts().await.map_err(store_refusal)
}

/// An account that must exist.
pub(super) async fn account(role: &ApiRole, app_id: AppId) -> Result<Account, Refusal> {
    let accounts = describe_accounts(role).await?;
    accounts
        .into_iter()
        .find(|account| account.app_id == app_id)
        .ok_or_else(|| Refusal::new(Condition::NotFound, format!("there is no account {app_id}")))
}
