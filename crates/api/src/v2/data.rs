//! `data` of the answers, with the exact names and types of contract section 4. Inside
//! `deviceList` and `logs` every scalar is a JSON string; everywhere else numbers are numbers.

mod administration;
mod devices;
mod tasks;

pub(super) use administration::{
    AccountItem, AccountList, KeyList, NewDevice, NewKey, NewToken, Verification,
};
pub(super) use devices::{AgentList, DeviceList};
pub(super) use tasks::{Accepted, Log, Task, TaskResult};
