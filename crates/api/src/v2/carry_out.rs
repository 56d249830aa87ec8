use opencpm_domain::Refusal;
use opencpm_operations::administer::Administrator;
use opencpm_operations::authenticate::Caller;

use super::answer::{Answer, success};
use super::data;
use crate::Edge;
use crate::action::{Change, Input, What};

/// Carries out an operation and writes its answer.
pub(super) async fn carry_out(
    edge: &Edge,
    caller: &Caller,
    input: Input,
) -> Result<Answer, Refusal> {
    let service = edge.service();
    let offset = edge.settings().offset;
    match input {
        Input::ResetPassword(request) => {
            let task = service.reset_password(caller, request).await?;
            success(Some(&data::Accepted { task_id: task.get() }))
        }
        Input::OperationResult(task) => {
            let result = service.operation_result(caller, task).await?;
            success(Some(&data::TaskResult::new(&result)))
        }
        Input::DescribeDevices(query) => {
            let described = service.describe_devices(caller, *query).await?;
            success(Some(&data::DeviceList::new(&described, offset)))
        }
        Input::OperationLog(request) => {
            let page = service.operation_log(caller, request).await?;
            success(Some(&data::Log::new(&page, offset)))
        }
        Input::AgentStatus(request) => {
            let page = service.agent_status(caller, request).await?;
            success(Some(&data::AgentList::new(&page, offset)))
        }
        Input::DescribeTask(task) => {
            let result = service.operation_result(caller, task).await?;
            success(Some(&data::Task::new(&result, offset)))
        }
        Input::VerifyTask(task) => {
            let verification = service.verify_task(caller, task).await?;
            success(Some(&data::Verification::new(&verification)))
        }
        Input::DescribeAccounts => {
            let accounts = service.describe_accounts().await?;
            success(Some(&data::AccountList::new(&accounts)))
        }
        Input::DescribeApiKeys(account) => {
            let keys = service.describe_api_keys(account).await?;
            success(Some(&data::KeyList::new(&keys, offset)))
        }
        Input::Administer(change) => administer(edge, caller, change).await,
    }
}

async fn administer(edge: &Edge, caller: &Caller, change: Change) -> Result<Answer, Refusal> {
    let service = edge.service();
    let by = Administrator { caller: caller.clone(), unique: change.unique };
    match change.what {
        What::CreateAccount { app_id, name } => {
            let account = service.create_account(by, app_id, name).await?;
            success(Some(&data::AccountItem::new(&account)))
        }
        What::ModifyAccount { app_id, name, blocked } => {
            let account = service.modify_account(by, app_id, name, blocked).await?;
            success(Some(&data::AccountItem::new(&account)))
        }
        What::CreateApiKey(key) => {
            let made = service.create_api_key(by, key).await?;
            success(Some(&data::NewKey::new(&made)))
        }
        What::ModifyApiKey { key, disabled } => {
            service.disable_api_key(by, key, disabled).await?;
            done()
        }
        What::CreateDevice(device) => {
            let instance = service.create_device(by, *device).await?;
            success(Some(&data::NewDevice { instance_id: instance.as_str() }))
        }
        What::ModifyDevice { instance, changes } => {
            service.modify_device(by, instance, *changes).await?;
            done()
        }
        What::CreateEnrolmentToken(token) => {
            let made = service.create_enrolment_token(by, token).await?;
            success(Some(&data::NewToken::new(&made, edge.settings().offset)))
        }
    }
}

fn done() -> Result<Answer, Refusal> {
    success(None::<&()>)
}
