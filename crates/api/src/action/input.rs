use jiff::tz::Offset;
use opencpm_domain::{
    AppId, Condition, DeviceStatus, InstanceId, InvalidId, Refusal, SecretId, Span, TaskId,
    Timestamp, Uin,
};
use opencpm_operations::administer::{
    NewApiKey, NewDevice, NewEnrolmentToken, NewNodeToken, NewTemporaryKey,
};
use opencpm_operations::operation_log::LogRequest;
use opencpm_operations::reset_password::ResetPassword;
use opencpm_operations::row::{
    AttributeChanges, Attributes, DeviceOrder, DeviceQuery, DeviceScope, DeviceSort, NodeId, Scope,
    Tag, TagFilter, Unique,
};

use super::parameter::*;
use super::{Action, Arguments, Operation, Parameter};
use crate::dialect::Dialect;
use crate::moment::Moment;
use crate::service::AgentRequest;

/// A list without `limit` (contract 4.3).
const DEFAULT_LIMIT: u64 = 20;

/// The log without `startTime` (contract 4.4).
const DEFAULT_LOG_DAYS: i64 = 7;

/// The checked input of an operation.
pub(crate) enum Input {
    ResetPassword(ResetPassword),
    OperationResult(TaskId),
    DescribeDevices(Box<DeviceQuery>),
    OperationLog(LogRequest),
    AgentStatus(AgentRequest),
    DescribeTask(TaskId),
    VerifyTask(TaskId),
    Administer(Change),
    DescribeAccounts,
    DescribeApiKeys(Option<AppId>),
    DescribeNodes,
    DescribeMaintenance,
}

/// The checked input of an administrative change, and what makes its request unique.
pub(crate) struct Change {
    pub(crate) unique: Unique,
    pub(crate) what: What,
}

/// What an administrator changes.
pub(crate) enum What {
    CreateAccount {
        app_id: AppId,
        name: String,
    },
    ModifyAccount {
        app_id: AppId,
        name: Option<String>,
        blocked: Option<bool>,
    },
    CreateApiKey(NewApiKey),
    CreateTemporaryKey(NewTemporaryKey),
    ModifyApiKey {
        key: SecretId,
        disabled: bool,
    },
    CreateDevice(Box<NewDevice>),
    ModifyDevice {
        instance: InstanceId,
        changes: Box<AttributeChanges>,
    },
    CreateEnrolmentToken(NewEnrolmentToken),
    CreateNodeToken(NewNodeToken),
    RevokeNode(NodeId),
    /// A message begins it, none ends it.
    ModifyMaintenance(Option<String>),
}

/// What an input depends on besides its arguments.
pub(crate) struct Context {
    /// For the defaults of times.
    pub(crate) now: Timestamp,
    /// The zone of dates.
    pub(crate) offset: Offset,
    /// What makes the request unique.
    pub(crate) unique: Unique,
}

impl Input {
    /// Turns checked arguments into the operation's input.
    pub(crate) fn new(
        operation: Operation,
        mut given: Arguments,
        context: Context,
    ) -> Result<Self, Refusal> {
        Ok(match operation {
            Operation::ResetPassword => Self::ResetPassword(ResetPassword {
                instances: given.instances(&RESET_IDS),
                password: given.take_password().ok_or_else(|| missing(&PASSWD))?,
                unique: context.unique,
            }),
            Operation::OperationResult => Self::OperationResult(task(&given)?),
            Operation::DescribeDevices => Self::DescribeDevices(Box::new(device_query(&given)?)),
            Operation::OperationLog => Self::OperationLog(log_request(&given, &context)?),
            Operation::AgentStatus => Self::AgentStatus(AgentRequest {
                instances: given.instances(&FILTER_IDS),
                offset: given.integer(&OFFSET).unwrap_or(0),
                limit: given.integer(&LIMIT).unwrap_or(DEFAULT_LIMIT),
            }),
            Operation::DescribeTask => Self::DescribeTask(task(&given)?),
            Operation::VerifyTask => Self::VerifyTask(task(&given)?),
            Operation::DescribeAccounts => Self::DescribeAccounts,
            Operation::DescribeNodes => Self::DescribeNodes,
            Operation::DescribeMaintenance => Self::DescribeMaintenance,
            Operation::DescribeApiKeys => {
                Self::DescribeApiKeys(given.integer(&APP_ID).and_then(|n| AppId::new(n).ok()))
            }
            Operation::CreateAccount
            | Operation::ModifyAccount
            | Operation::CreateApiKey
            | Operation::CreateTemporaryKey
            | Operation::ModifyApiKey
            | Operation::CreateDevice
            | Operation::ModifyDevice
            | Operation::CreateEnrolmentToken
            | Operation::CreateNodeToken
            | Operation::RevokeNode
            | Operation::ModifyMaintenance => {
                Self::Administer(Change { unique: context.unique, what: what(operation, &given)? })
            }
        })
    }
}

fn what(operation: Operation, given: &Arguments) -> Result<What, Refusal> {
    Ok(match operation {
        Operation::CreateAccount => What::CreateAccount {
            app_id: account(given)?,
            name: given.text(&NAME).ok_or_else(|| missing(&NAME))?,
        },
        Operation::ModifyAccount => What::ModifyAccount {
            app_id: account(given)?,
            name: given.text(&NAME),
            blocked: given.flag(&BLOCKED),
        },
        Operation::CreateApiKey => What::CreateApiKey(new_key(given)?),
        Operation::CreateTemporaryKey => What::CreateTemporaryKey(new_temporary_key(given)?),
        Operation::ModifyApiKey => What::ModifyApiKey {
            key: parsed(given, &KEY_ID, SecretId::parse)?,
            disabled: given.flag(&DISABLED).ok_or_else(|| missing(&DISABLED))?,
        },
        Operation::CreateDevice => What::CreateDevice(Box::new(new_device(given)?)),
        Operation::ModifyDevice => What::ModifyDevice {
            instance: instance(given)?,
            changes: Box::new(attribute_changes(given)?),
        },
        Operation::CreateEnrolmentToken => What::CreateEnrolmentToken(NewEnrolmentToken {
            account: account(given)?,
            device: given.instances(&INSTANCE_ID).pop(),
            uses: uses(given, &USES),
            lifetime: lifetime(given),
        }),
        Operation::CreateNodeToken => What::CreateNodeToken(NewNodeToken {
            names: given.texts(&NODE_NAMES).unwrap_or_default(),
            uses: uses(given, &NODE_USES),
            lifetime: lifetime(given),
        }),
        Operation::RevokeNode => {
            let id = given.text(&NODE_ID).ok_or_else(|| missing(&NODE_ID))?;
            let wrong = || Refusal::new(Condition::ParameterInvalid, "nodeId: not a node's id");
            What::RevokeNode(NodeId::parse(&id).ok_or_else(wrong)?)
        }
        Operation::ModifyMaintenance => What::ModifyMaintenance(maintenance(given)?),
        _ => return Err(Condition::ServerBug.into()),
    })
}

/// Of a token.
fn uses(given: &Arguments, parameter: &'static Parameter) -> u32 {
    given.integer(parameter).and_then(|n| u32::try_from(n).ok()).unwrap_or(1)
}

/// Of a token: a day unless given.
fn lifetime(given: &Arguments) -> Span {
    Span::from_secs(given.integer(&VALID_SECONDS).unwrap_or(86_400))
}

fn maintenance(given: &Arguments) -> Result<Option<String>, Refusal> {
    let begins = given.flag(&MAINTENANCE).ok_or_else(|| missing(&MAINTENANCE))?;
    Ok(begins.then(|| given.text(&MESSAGE).unwrap_or_default()))
}

fn device_query(given: &Arguments) -> Result<DeviceQuery, Refusal> {
    let statuses = given.integers(&STATUSES).into_iter();
    Ok(DeviceQuery {
        account: None,
        within: None,
        instances: given.instances(&FILTER_IDS),
        lan_ips: given.texts(&LAN_IPS).unwrap_or_default(),
        wan_ips: given.texts(&WAN_IPS).unwrap_or_default(),
        mgt_ips: given.texts(&MGT_IPS).unwrap_or_default(),
        alias: given.text(&ALIAS_PART),
        alias_prefix: given.text(&ALIAS_PREFIX),
        vague_ip: given.text(&VAGUE_IP),
        deadline_from: given.moment(&DEADLINE_START).map(|m| m.from),
        deadline_to: given.moment(&DEADLINE_END).map(|m| m.from),
        auto_renew: given.flag(&AUTO_RENEW),
        vpc_ids: given.integer(&VPC_ID).into_iter().collect(),
        subnet_ids: one_or_list(
            given.integer(&SUBNET_ID),
            given.integers(&SUBNET_IDS),
            "give subnetId or subnetIds.n, not both",
        )?,
        un_vpc_ids: given.text(&UN_VPC_ID).into_iter().collect(),
        un_subnet_ids: one_or_list(
            given.text(&UN_SUBNET_ID),
            given.texts(&UN_SUBNET_IDS).unwrap_or_default(),
            "give unSubnetId or unSubnetIds.n, not both",
        )?,
        device_class: given.text(&DEVICE_CLASS),
        device_class_code: given.text(&DEVICE_CLASS_CODE),
        project_id: given.integer(&PROJECT_ID),
        statuses: statuses
            .filter_map(|n| DeviceStatus::try_from(u8::try_from(n).ok()?).ok())
            .collect(),
        device_type: given.text(&DEVICE_TYPE),
        is_lucky: given.flag(&IS_LUCKY),
        maintain_status: given.maintain_status(&MAINTAIN_STATUS),
        tags: given.tags(&TAG_FILTERS),
        retired: false,
        order: DeviceOrder {
            by: sort_field(given.choice(&ORDER_FIELD)),
            descending: given.flag(&ORDER).unwrap_or(false),
        },
        offset: given.integer(&OFFSET).unwrap_or(0),
        limit: given.integer(&LIMIT).unwrap_or(DEFAULT_LIMIT),
    })
}

/// A filter that has a form for one value and one for many. Both together would be an AND of two
/// different things.
fn one_or_list<T>(one: Option<T>, list: Vec<T>, both: &'static str) -> Result<Vec<T>, Refusal> {
    match one {
        Some(_) if !list.is_empty() => Err(Refusal::new(Condition::ParameterInvalid, both)),
        Some(one) => Ok(vec![one]),
        None => Ok(list),
    }
}

fn sort_field(name: Option<&str>) -> DeviceSort {
    match name {
        Some("alias") => DeviceSort::Alias,
        Some("lanIp") => DeviceSort::LanIp,
        Some("subnetId") => DeviceSort::SubnetId,
        Some("deliverTime") => DeviceSort::DeliverTime,
        Some("deadline") => DeviceSort::Deadline,
        _ => DeviceSort::InstanceId,
    }
}

fn log_request(given: &Arguments, context: &Context) -> Result<LogRequest, Refusal> {
    let ago = |days| {
        let day = Moment::days_ago(days, context.now, context.offset);
        day.ok_or_else(|| Refusal::from(Condition::ServerBug))
    };
    Ok(LogRequest {
        instance: instance(given)?,
        from: given.moment(&START_TIME).map_or_else(|| ago(DEFAULT_LOG_DAYS), Ok)?.from,
        before: given.moment(&END_TIME).map_or_else(|| ago(0), Ok)?.before,
        offset: given.integer(&OFFSET).unwrap_or(0),
        limit: given.integer(&LOG_LIMIT).unwrap_or(DEFAULT_LIMIT),
    })
}

fn new_key(given: &Arguments) -> Result<NewApiKey, Refusal> {
    Ok(NewApiKey {
        app_id: account(given)?,
        uin: parsed(given, &UIN, Uin::parse)?,
        scope: scope(given),
    })
}

fn new_temporary_key(given: &Arguments) -> Result<NewTemporaryKey, Refusal> {
    let uin = given.text(&UIN).map(|text| Uin::parse(&text)).transpose();
    Ok(NewTemporaryKey {
        app_id: given.integer(&APP_ID).and_then(|n| AppId::new(n).ok()),
        uin: uin.map_err(|_| Refusal::from(Condition::ParameterInvalid))?,
        scope: scope(given),
        lifetime: Span::from_secs(
            given.integer(&KEY_SECONDS).ok_or_else(|| missing(&KEY_SECONDS))?,
        ),
    })
}

fn scope(given: &Arguments) -> Scope {
    Scope {
        admin: given.flag(&ADMIN).unwrap_or(false),
        actions: action_names(given),
        devices: own_devices(given),
    }
}

/// The names under which permissions know the actions: one may have been given by another.
fn action_names(given: &Arguments) -> Option<Vec<String>> {
    let names = given.texts(&ACTION_NAMES)?;
    Some(
        names
            .iter()
            .filter_map(|name| Action::named(name, Dialect::V2))
            .map(|a| a.name().to_owned())
            .collect(),
    )
}

fn own_devices(given: &Arguments) -> Option<DeviceScope> {
    let instances = given.instances(&OWN_DEVICES).into_iter().collect();
    let devices = DeviceScope { instances, tags: given.tags(&OWN_TAGS) };
    (devices != DeviceScope::default()).then_some(devices)
}

fn new_device(given: &Arguments) -> Result<NewDevice, Refusal> {
    let mut attributes = Attributes::default();
    attribute_changes(given)?.apply(&mut attributes);
    let instance = given.instances(&INSTANCE_ID).pop();
    Ok(NewDevice { account: account(given)?, instance, attributes })
}

fn attribute_changes(given: &Arguments) -> Result<AttributeChanges, Refusal> {
    let deliver_time = given.moment(&DELIVER_TIME).map(|m| m.from);
    let deadline = given.moment(&DEADLINE).map(|m| m.from);
    let maintain_status = given.maintain_status(&MAINTAIN_STATUS);
    let tags = given.tags(&TAGS).into_iter().flat_map(each_tag).collect::<Vec<_>>();
    let tags = or_cleared(given, &TAGS, (!tags.is_empty()).then_some(tags))?;
    Ok(AttributeChanges {
        alias: given.text(&ALIAS),
        lan_ip: given.text(&LAN_IP),
        wan_ip: given.text(&WAN_IP),
        mgt_ip: given.text(&MGT_IP),
        dhcp_ip: given.text(&DHCP_IP),
        device_status: given.device_status(&DEVICE_STATUS),
        operate_status: given.operate_status(&OPERATE_STATUS),
        os_type_id: given.integer(&OS_TYPE_ID),
        raid_id: given.integer(&RAID_ID),
        zone_id: given.integer(&ZONE_ID),
        zone: given.text(&ZONE),
        project_id: given.integer(&PROJECT_ID),
        vpc_id: given.integer(&VPC_ID),
        subnet_id: given.integer(&SUBNET_ID),
        un_vpc_id: given.text(&UN_VPC_ID),
        vpc_name: given.text(&VPC_NAME),
        vpc_cidr: given.text(&VPC_CIDR),
        un_subnet_id: given.text(&UN_SUBNET_ID),
        subnet_name: given.text(&SUBNET_NAME),
        subnet_cidr: given.text(&SUBNET_CIDR),
        deliver_time: or_cleared(given, &DELIVER_TIME, deliver_time)?,
        deadline: or_cleared(given, &DEADLINE, deadline)?,
        pay_mode: given.pay_mode(&PAY_MODE),
        is_vpc_gateway: given.flag(&IS_VPC_GATEWAY),
        auto_renew: given.flag(&AUTO_RENEW),
        is_lucky: given.flag(&IS_LUCKY),
        device_class: given.text(&DEVICE_CLASS),
        device_class_code: given.text(&DEVICE_CLASS_CODE),
        device_type: given.text(&DEVICE_TYPE),
        maintain_status: or_cleared(given, &MAINTAIN_STATUS, maintain_status)?,
        maintain_message: or_cleared(given, &MAINTAIN_MESSAGE, given.text(&MAINTAIN_MESSAGE))?,
        tags: tags.map(Option::unwrap_or_default),
    })
}

/// The new value of an attribute that may be absent: none where it is to be cleared, and no
/// change where it is neither given nor cleared.
fn or_cleared<T>(
    given: &Arguments,
    parameter: &'static Parameter,
    value: Option<T>,
) -> Result<Option<Option<T>>, Refusal> {
    let is_cleared = given.choices(&CLEAR).contains(&parameter.name);
    match value {
        Some(_) if is_cleared => Err(Refusal::new(
            Condition::ParameterInvalid,
            format!("{}: give it or clear it, not both", parameter.name),
        )),
        None if is_cleared => Ok(Some(None)),
        value => Ok(value.map(Some)),
    }
}

/// A key with each of its values; a key without is a tag, too.
fn each_tag(TagFilter { key, mut values }: TagFilter) -> impl Iterator<Item = Tag> {
    if values.is_empty() {
        values.push(String::new());
    }
    values.into_iter().map(move |value| Tag { key: key.clone(), value, mac: None })
}

fn task(given: &Arguments) -> Result<TaskId, Refusal> {
    let number = given.integer(&TASK_ID).and_then(|number| TaskId::new(number).ok());
    number.ok_or_else(|| missing(&TASK_ID))
}

fn account(given: &Arguments) -> Result<AppId, Refusal> {
    let number = given.integer(&APP_ID).and_then(|number| AppId::new(number).ok());
    number.ok_or_else(|| missing(&APP_ID))
}

fn instance(given: &Arguments) -> Result<InstanceId, Refusal> {
    given.instances(&INSTANCE_ID).pop().ok_or_else(|| missing(&INSTANCE_ID))
}

fn parsed<T>(
    given: &Arguments,
    parameter: &'static Parameter,
    parse: fn(&str) -> Result<T, InvalidId>,
) -> Result<T, Refusal> {
    let text = given.text(parameter).ok_or_else(|| missing(parameter))?;
    parse(&text).map_err(|_| Refusal::from(Condition::ParameterInvalid))
}

fn missing(parameter: &Parameter) -> Refusal {
    Refusal::new(Condition::ParameterMissing, format!("missing: {}", parameter.name))
}
