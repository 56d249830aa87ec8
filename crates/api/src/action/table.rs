use opencpm_domain::Condition;

use super::parameter::*;
use super::{Accepted, Access, Action, Operation, Parameter, administration};
use crate::answer::{ACCEPTED, AGENTS, DEVICES, LOG, NOTHING, RESULT, TASK, VERIFICATION};

/// Every action (contract section 4; administration: design section 4).
pub static ACTIONS: &[Action] = &[
    Action {
        operation: Operation::ResetPassword,
        names: &["ResetDevicePasswd"],
        name_v3: Some("ResetDevicePassword"),
        access: Access::Account,
        mutates: true,
        parameters: &[needs(&RESET_IDS), needs(&PASSWD), takes(&OP_UIN)],
        raises: RESET,
        answer: &ACCEPTED,
        meaning: "Sets root's password on devices; answers at once with a task.",
    },
    Action {
        operation: Operation::OperationResult,
        names: &["DescriptionOperationResult"],
        name_v3: Some("DescribeOperationResult"),
        parameters: &[needs(&TASK_ID)],
        raises: OWN_ONLY,
        answer: &RESULT,
        meaning: "Tells how far a task is, for each device.",
        ..READ
    },
    Action {
        operation: Operation::DescribeDevices,
        names: &["DescribeDevice", "DescribeDeviceList"],
        name_v3: Some("DescribeDevices"),
        parameters: DEVICE_FILTERS,
        answer: &DEVICES,
        meaning: "Lists devices that match every filter.",
        ..READ
    },
    Action {
        operation: Operation::OperationLog,
        names: &["DescribeDeviceOperationLog"],
        name_v3: Some("DescribeDeviceOperationLog"),
        parameters: &[
            needs(&INSTANCE_ID),
            takes(&START_TIME),
            takes(&END_TIME),
            takes(&OFFSET),
            takes(&LOG_LIMIT),
        ],
        raises: OWN_ONLY,
        answer: &LOG,
        meaning: "Lists what was done to a device, newest first.",
        ..READ
    },
    Action {
        operation: Operation::AgentStatus,
        names: &["DescribeBmAgentStatus"],
        name_v3: None,
        parameters: &[takes(&FILTER_IDS), takes(&OFFSET), takes(&LIMIT)],
        answer: &AGENTS,
        meaning: "Tells which devices' agents are connected.",
        ..READ
    },
    Action {
        operation: Operation::DescribeTask,
        names: &["DescribeTask"],
        name_v3: Some("DescribeTask"),
        parameters: &[needs(&TASK_ID)],
        raises: OWN_ONLY,
        answer: &TASK,
        meaning: "Tells everything about a task: reasons, advice, times.",
        ..READ
    },
    Action {
        operation: Operation::VerifyTask,
        names: &["VerifyTask"],
        name_v3: Some("VerifyTask"),
        parameters: &[needs(&TASK_ID)],
        raises: OWN_ONLY,
        answer: &VERIFICATION,
        meaning: "Checks again what the machines signed about a task.",
        ..READ
    },
    administration::CREATE_ACCOUNT,
    administration::MODIFY_ACCOUNT,
    administration::DESCRIBE_ACCOUNTS,
    administration::CREATE_API_KEY,
    administration::CREATE_TEMPORARY_KEY,
    administration::DESCRIBE_API_KEYS,
    administration::MODIFY_API_KEY,
    administration::CREATE_DEVICE,
    administration::MODIFY_DEVICE,
    administration::CREATE_ENROLMENT_TOKEN,
    administration::CREATE_NODE_TOKEN,
    administration::DESCRIBE_NODES,
    administration::REVOKE_NODE,
    administration::MODIFY_MAINTENANCE,
    administration::DESCRIBE_MAINTENANCE,
];

pub(super) const fn needs(parameter: &'static Parameter) -> Accepted {
    Accepted { parameter, required: true }
}

pub(super) const fn takes(parameter: &'static Parameter) -> Accepted {
    Accepted { parameter, required: false }
}

/// What most actions have in common; a row replaces the rest.
pub(super) const READ: Action = Action {
    operation: Operation::OperationResult,
    names: &[],
    name_v3: None,
    access: Access::Account,
    mutates: false,
    parameters: &[],
    answer: &NOTHING,
    raises: &[
        Condition::StoreUnavailable,
        Condition::ParameterMissing,
        Condition::ParameterInvalid,
        Condition::ParameterOutOfBounds,
        Condition::ParameterUnknown,
        Condition::NotFound,
    ],
    meaning: "",
};

/// What has to do with given devices or tasks, which may be outside of the key's own devices.
pub(super) const OWN_ONLY: &[Condition] = &[
    Condition::StoreUnavailable,
    Condition::ParameterMissing,
    Condition::ParameterInvalid,
    Condition::ParameterOutOfBounds,
    Condition::ParameterUnknown,
    Condition::NotFound,
    Condition::DeviceNotAllowed,
];

const RESET: &[Condition] = &[
    Condition::StoreUnavailable,
    Condition::BrokerUnavailable,
    Condition::GatewayLost,
    Condition::ParameterMissing,
    Condition::ParameterInvalid,
    Condition::ParameterOutOfBounds,
    Condition::ParameterUnknown,
    Condition::NotFound,
    Condition::DeviceNotAllowed,
    Condition::DeviceStateWrong,
    Condition::DeviceBusy,
    Condition::AgentNotAlive,
];

const DEVICE_FILTERS: &[Accepted] = &[
    takes(&OFFSET),
    takes(&LIMIT),
    takes(&FILTER_IDS),
    takes(&LAN_IPS),
    takes(&WAN_IPS),
    takes(&MGT_IPS),
    takes(&ALIAS_PART),
    takes(&ALIAS_PREFIX),
    takes(&VAGUE_IP),
    takes(&DEADLINE_START),
    takes(&DEADLINE_END),
    takes(&AUTO_RENEW),
    takes(&VPC_ID),
    takes(&SUBNET_ID),
    takes(&SUBNET_IDS),
    takes(&UN_VPC_ID),
    takes(&UN_SUBNET_ID),
    takes(&UN_SUBNET_IDS),
    takes(&DEVICE_CLASS),
    takes(&DEVICE_CLASS_CODE),
    takes(&PROJECT_ID),
    takes(&STATUSES),
    takes(&DEVICE_TYPE),
    takes(&IS_LUCKY),
    takes(&MAINTAIN_STATUS),
    takes(&TAG_FILTERS),
    takes(&ORDER),
    takes(&ORDER_FIELD),
];
