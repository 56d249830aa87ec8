//! Answers of both dialects. One table says which fields there are and what each dialect calls
//! them ([`Field`], `table.rs`); one function for each kind of thing writes them; the envelope is
//! the dialect's.

mod administration;
mod body;
mod devices;
mod envelope;
mod field;
mod object;
mod table;
mod tasks;

pub use field::{Field, Holds, Shape, When};
pub use table::SHAPES;

pub(crate) use body::Body;
pub(crate) use envelope::{CONTENT_TYPE, failure, success};
pub(crate) use table::*;

use std::sync::Arc;

use jiff::tz::Offset;
use opencpm_domain::{InstanceId, TaskId};
use opencpm_operations::administer::{MadeKey, MadeTemporaryKey, MadeToken};
use opencpm_operations::agent_status::AgentStatus;
use opencpm_operations::describe_devices::DescribedDevices;
use opencpm_operations::operation_result::{OperationResult, TaskVerification};
use opencpm_operations::row::{Account, ApiKey, LogEntry, Maintenance, Node, Page};

use crate::dialect::Dialect;
use object::Object;

/// What an operation came to, in no dialect's terms.
pub(crate) enum Output {
    Accepted(TaskId),
    Result(OperationResult),
    Devices(DescribedDevices),
    Log(Page<LogEntry>),
    Agents(Page<AgentStatus>),
    Task(OperationResult),
    Verification(TaskVerification),
    Account(Account),
    Accounts(Vec<Account>),
    Key(MadeKey),
    TemporaryKey(MadeTemporaryKey),
    Keys(Vec<ApiKey>),
    Device(InstanceId),
    Token(MadeToken),
    NodeToken(MadeToken),
    Nodes(Vec<Node>),
    Maintenance(Option<Maintenance>),
    Done,
}

/// How an answer is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    pub(crate) dialect: Dialect,
    /// The zone of its times.
    pub(crate) offset: Offset,
}

impl Output {
    /// The fields that its answer has.
    fn shape(&self) -> &'static Shape {
        match self {
            Self::Accepted(_) => &ACCEPTED,
            Self::Result(_) => &RESULT,
            Self::Devices(_) => &DEVICES,
            Self::Log(_) => &LOG,
            Self::Agents(_) => &AGENTS,
            Self::Task(_) => &TASK,
            Self::Verification(_) => &VERIFICATION,
            Self::Account(_) => &ACCOUNT,
            Self::Accounts(_) => &ACCOUNTS,
            Self::Key(_) => &NEW_KEY,
            Self::TemporaryKey(_) => &NEW_TEMPORARY_KEY,
            Self::Keys(_) => &KEYS,
            Self::Device(_) => &NEW_DEVICE,
            Self::Token(_) => &TOKEN,
            Self::NodeToken(_) => &NODE_TOKEN,
            Self::Nodes(_) => &NODES,
            Self::Maintenance(_) => &MAINTENANCE_STATE,
            Self::Done => &NOTHING,
        }
    }

    /// Writes the fields.
    fn write(self, to: &mut Object<'_>) {
        match self {
            Self::Accepted(task) => to.number(&TASK_ID, task.get()),
            Self::Result(result) => tasks::result(&Arc::new(result), to),
            Self::Devices(described) => devices::list(&described, to),
            Self::Log(page) => tasks::log(&page, to),
            Self::Agents(page) => devices::agents(&page, to),
            Self::Task(result) => tasks::task(&Arc::new(result), to),
            Self::Verification(task) => tasks::verification(&Arc::new(task), to),
            Self::Account(account) => administration::account(&account, to),
            Self::Accounts(accounts) => administration::accounts(&accounts, to),
            Self::Key(made) => administration::new_key(&made, to),
            Self::TemporaryKey(made) => administration::new_temporary_key(&made, to),
            Self::Keys(keys) => administration::keys(&keys, to),
            Self::Device(instance) => to.text(&INSTANCE_ID, instance.as_str()),
            Self::Token(made) => administration::token(&made, to),
            Self::NodeToken(made) => administration::node_token(&made, to),
            Self::Nodes(nodes) => administration::nodes(&nodes, to),
            Self::Maintenance(state) => administration::maintenance(state.as_ref(), to),
            Self::Done => {}
        }
    }
}
