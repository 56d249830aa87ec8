use opencpm_domain::Refusal;
use opencpm_operations::administer::Administrator;
use opencpm_operations::authenticate::Caller;

use crate::action::{Change, Input, What};
use crate::answer::Output;
use crate::service::Service;

/// Carries out an operation (contract 7.1, steps 10 to 13).
pub(crate) async fn carry_out(
    service: &dyn Service,
    caller: &Caller,
    input: Input,
) -> Result<Output, Refusal> {
    Ok(match input {
        Input::ResetPassword(request) => {
            Output::Accepted(service.reset_password(caller, request).await?)
        }
        Input::OperationResult(task) => {
            Output::Result(service.operation_result(caller, task).await?)
        }
        Input::DescribeDevices(query) => {
            Output::Devices(service.describe_devices(caller, *query).await?)
        }
        Input::OperationLog(request) => Output::Log(service.operation_log(caller, request).await?),
        Input::AgentStatus(request) => Output::Agents(service.agent_status(caller, request).await?),
        Input::DescribeTask(task) => Output::Task(service.operation_result(caller, task).await?),
        Input::VerifyTask(task) => Output::Verification(service.verify_task(caller, task).await?),
        Input::DescribeAccounts => Output::Accounts(service.describe_accounts().await?),
        Input::DescribeApiKeys(account) => Output::Keys(service.describe_api_keys(account).await?),
        Input::DescribeNodes => Output::Nodes(service.describe_nodes().await?),
        Input::DescribeMaintenance => Output::Maintenance(service.describe_maintenance().await?),
        Input::Administer(change) => administer(service, caller, change).await?,
    })
}

async fn administer(
    service: &dyn Service,
    caller: &Caller,
    change: Change,
) -> Result<Output, Refusal> {
    let by = Administrator { caller: caller.clone(), unique: change.unique };
    Ok(match change.what {
        What::CreateAccount { app_id, name } => {
            Output::Account(service.create_account(by, app_id, name).await?)
        }
        What::ModifyAccount { app_id, name, blocked } => {
            Output::Account(service.modify_account(by, app_id, name, blocked).await?)
        }
        What::CreateApiKey(key) => Output::Key(service.create_api_key(by, key).await?),
        What::CreateTemporaryKey(key) => {
            Output::TemporaryKey(service.create_temporary_key(by, key).await?)
        }
        What::ModifyApiKey { key, disabled } => {
            service.disable_api_key(by, key, disabled).await?;
            Output::Done
        }
        What::CreateDevice(device) => Output::Device(service.create_device(by, *device).await?),
        What::ModifyDevice { instance, changes } => {
            service.modify_device(by, instance, *changes).await?;
            Output::Done
        }
        What::CreateEnrolmentToken(token) => {
            Output::Token(service.create_enrolment_token(by, token).await?)
        }
        What::CreateNodeToken(token) => {
            Output::NodeToken(service.create_node_token(by, token).await?)
        }
        What::RevokeNode(node) => {
            service.revoke_node(by, node).await?;
            Output::Done
        }
        What::ModifyMaintenance(message) => {
            service.modify_maintenance(by, message).await?;
            Output::Done
        }
    })
}
