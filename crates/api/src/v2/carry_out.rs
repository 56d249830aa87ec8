use opencpm_domain::{Refusal, TaskId};
use opencpm_operations::row::UsedNonce;

use super::answer::{Answer, success};
use super::data;
use crate::Edge;
use crate::action::Input;
use crate::service::Caller;

/// Carries out an operation and writes its answer.
pub(super) async fn carry_out(
    edge: &Edge,
    caller: &Caller,
    nonce: UsedNonce,
    input: Input,
) -> Result<Answer, Refusal> {
    let service = edge.service();
    let offset = edge.settings().offset;
    match input {
        Input::ResetPassword(reset) => {
            let task_id = service.reset_password(caller, nonce, reset).await?;
            success(Some(&data::Accepted { task_id: TaskId::get(task_id) }))
        }
        Input::OperationResult(task) => {
            let result = service.task_result(caller, task).await?;
            success(Some(&data::TaskResult::new(&result)))
        }
        Input::DescribeDevices(query) => {
            let page = service.devices(caller, *query).await?;
            success(Some(&data::DeviceList::new(&page, edge.now(), offset)))
        }
        Input::OperationLog(query) => {
            let page = service.operation_log(caller, query).await?;
            success(Some(&data::Log::new(&page, offset)))
        }
        Input::AgentStatus(query) => {
            let page = service.agent_status(caller, *query).await?;
            success(Some(&data::AgentList::new(&page, offset)))
        }
        Input::DescribeTask(task) => {
            let (task, jobs) = service.task(caller, task).await?;
            success(Some(&data::Task::new(&task, &jobs, offset)))
        }
        Input::VerifyTask(task) => {
            let devices = service.verify_task(caller, task).await?;
            success(Some(&data::Verification::new(&devices)))
        }
        Input::CreateAccount(account) => {
            service.create_account(caller, nonce, account).await?;
            done()
        }
        Input::DescribeAccounts => {
            success(Some(&data::AccountList::new(&service.accounts(caller).await?)))
        }
        Input::CreateApiKey(key) => {
            let created = service.create_api_key(caller, nonce, key).await?;
            success(Some(&data::CreatedKey::new(&created)))
        }
        Input::DescribeApiKeys(account) => {
            let keys = service.api_keys(caller, account).await?;
            success(Some(&data::KeyList::new(&keys, offset)))
        }
        Input::ModifyApiKey { key, disabled } => {
            service.set_key_disabled(caller, nonce, key, disabled).await?;
            done()
        }
        Input::CreateDevice(device) => {
            let instance = service.create_device(caller, nonce, *device).await?;
            success(Some(&data::CreatedDevice { instance_id: instance.as_str() }))
        }
        Input::ModifyDevice { instance, changes } => {
            service.modify_device(caller, nonce, instance, *changes).await?;
            done()
        }
        Input::CreateEnrolmentToken(token) => {
            let created = service.create_enrolment_token(caller, nonce, token).await?;
            success(Some(&data::CreatedToken::new(&created, offset)))
        }
    }
}

fn done() -> Result<Answer, Refusal> {
    success(None::<&()>)
}
