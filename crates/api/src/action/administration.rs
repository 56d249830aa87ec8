//! The rows of the administrative actions.

use super::parameter::*;
use super::table::{OWN_ONLY, READ, needs, takes};
use super::{Accepted, Access, Action, Operation};
use crate::answer::{
    ACCOUNT, ACCOUNTS, KEYS, MAINTENANCE_STATE, NEW_DEVICE, NEW_KEY, NEW_TEMPORARY_KEY, NODE_TOKEN,
    NODES, TOKEN,
};

const ADMIN_READ: Action = Action { access: Access::Admin, ..READ };
const ADMIN_CHANGE: Action = Action { mutates: true, ..ADMIN_READ };

pub(super) const CREATE_ACCOUNT: Action = Action {
    operation: Operation::CreateAccount,
    names: &["CreateAccount"],
    name_v3: Some("CreateAccount"),
    parameters: &[needs(&APP_ID), needs(&NAME)],
    answer: &ACCOUNT,
    meaning: "Makes an account.",
    ..ADMIN_CHANGE
};

pub(super) const MODIFY_ACCOUNT: Action = Action {
    operation: Operation::ModifyAccount,
    names: &["ModifyAccount"],
    name_v3: Some("ModifyAccount"),
    parameters: &[needs(&APP_ID), takes(&NAME), takes(&BLOCKED)],
    answer: &ACCOUNT,
    meaning: "Renames an account, blocks it, or unblocks it.",
    ..ADMIN_CHANGE
};

pub(super) const DESCRIBE_ACCOUNTS: Action = Action {
    operation: Operation::DescribeAccounts,
    names: &["DescribeAccounts"],
    name_v3: Some("DescribeAccounts"),
    parameters: &[],
    answer: &ACCOUNTS,
    meaning: "Lists all accounts.",
    ..ADMIN_READ
};

pub(super) const CREATE_API_KEY: Action = Action {
    operation: Operation::CreateApiKey,
    names: &["CreateApiKey"],
    name_v3: Some("CreateApiKey"),
    parameters: &[
        needs(&APP_ID),
        needs(&UIN),
        takes(&ADMIN),
        takes(&ACTION_NAMES),
        takes(&OWN_DEVICES),
        takes(&OWN_TAGS),
    ],
    answer: &NEW_KEY,
    meaning: "Makes an API key; its secret is in the answer and nowhere else.",
    ..ADMIN_CHANGE
};

/// Not for administrators only: what a key gives away, it has.
pub(super) const CREATE_TEMPORARY_KEY: Action = Action {
    operation: Operation::CreateTemporaryKey,
    names: &["CreateTemporaryKey"],
    name_v3: Some("CreateTemporaryKey"),
    access: Access::Account,
    parameters: &[
        needs(&KEY_SECONDS),
        takes(&APP_ID),
        takes(&UIN),
        takes(&ADMIN),
        takes(&ACTION_NAMES),
        takes(&OWN_DEVICES),
        takes(&OWN_TAGS),
    ],
    raises: OWN_ONLY,
    answer: &NEW_TEMPORARY_KEY,
    meaning: "Makes a key that ends by itself, with no more rights than the key that asks.",
    ..ADMIN_CHANGE
};

pub(super) const DESCRIBE_API_KEYS: Action = Action {
    operation: Operation::DescribeApiKeys,
    names: &["DescribeApiKeys"],
    name_v3: Some("DescribeApiKeys"),
    parameters: &[takes(&APP_ID)],
    answer: &KEYS,
    meaning: "Lists API keys, without their secrets.",
    ..ADMIN_READ
};

pub(super) const MODIFY_API_KEY: Action = Action {
    operation: Operation::ModifyApiKey,
    names: &["ModifyApiKey"],
    name_v3: Some("ModifyApiKey"),
    parameters: &[needs(&KEY_ID), needs(&DISABLED)],
    meaning: "Disables an API key or enables it again.",
    ..ADMIN_CHANGE
};

pub(super) const CREATE_DEVICE: Action = Action {
    operation: Operation::CreateDevice,
    names: &["CreateDevice"],
    name_v3: Some("CreateDevice"),
    parameters: &with_attributes::<2, 34>([needs(&APP_ID), takes(&INSTANCE_ID)]),
    answer: &NEW_DEVICE,
    meaning: "Adds a device ahead of its enrolment.",
    ..ADMIN_CHANGE
};

pub(super) const MODIFY_DEVICE: Action = Action {
    operation: Operation::ModifyDevice,
    names: &["ModifyDevice"],
    name_v3: Some("ModifyDevice"),
    parameters: &with_attributes::<2, 34>([needs(&INSTANCE_ID), takes(&CLEAR)]),
    meaning: "Changes the attributes that are given; the others stay.",
    ..ADMIN_CHANGE
};

pub(super) const CREATE_ENROLMENT_TOKEN: Action = Action {
    operation: Operation::CreateEnrolmentToken,
    names: &["CreateEnrolmentToken"],
    name_v3: Some("CreateEnrolmentToken"),
    parameters: &[needs(&APP_ID), takes(&INSTANCE_ID), takes(&USES), takes(&VALID_SECONDS)],
    answer: &TOKEN,
    meaning: "Makes a token with which machines enrol; with a device, that device again.",
    ..ADMIN_CHANGE
};

pub(super) const CREATE_NODE_TOKEN: Action = Action {
    operation: Operation::CreateNodeToken,
    names: &["CreateNodeToken"],
    name_v3: Some("CreateNodeToken"),
    parameters: &[takes(&NODE_NAMES), takes(&NODE_USES), takes(&VALID_SECONDS)],
    answer: &NODE_TOKEN,
    meaning: "Makes a token with which processes without the API role join as nodes.",
    ..ADMIN_CHANGE
};

pub(super) const DESCRIBE_NODES: Action = Action {
    operation: Operation::DescribeNodes,
    names: &["DescribeNodes"],
    name_v3: Some("DescribeNodes"),
    parameters: &[],
    answer: &NODES,
    meaning: "Lists the nodes without the API role, revoked ones included.",
    ..ADMIN_READ
};

pub(super) const REVOKE_NODE: Action = Action {
    operation: Operation::RevokeNode,
    names: &["RevokeNode"],
    name_v3: Some("RevokeNode"),
    parameters: &[needs(&NODE_ID)],
    meaning: "Gives a node no certificate any more.",
    ..ADMIN_CHANGE
};

pub(super) const MODIFY_MAINTENANCE: Action = Action {
    operation: Operation::ModifyMaintenance,
    names: &["ModifyMaintenance"],
    name_v3: Some("ModifyMaintenance"),
    parameters: &[needs(&MAINTENANCE), takes(&MESSAGE)],
    meaning: "Begins maintenance, in which reads work and changes are refused, or ends it.",
    ..ADMIN_CHANGE
};

pub(super) const DESCRIBE_MAINTENANCE: Action = Action {
    operation: Operation::DescribeMaintenance,
    names: &["DescribeMaintenance"],
    name_v3: Some("DescribeMaintenance"),
    parameters: &[],
    answer: &MAINTENANCE_STATE,
    meaning: "Tells whether the service is under maintenance.",
    ..READ
};

const ATTRIBUTES: [Accepted; 32] = [
    takes(&ALIAS),
    takes(&LAN_IP),
    takes(&WAN_IP),
    takes(&MGT_IP),
    takes(&DHCP_IP),
    takes(&DEVICE_STATUS),
    takes(&OPERATE_STATUS),
    takes(&OS_TYPE_ID),
    takes(&RAID_ID),
    takes(&ZONE_ID),
    takes(&ZONE),
    takes(&PROJECT_ID),
    takes(&VPC_ID),
    takes(&SUBNET_ID),
    takes(&UN_VPC_ID),
    takes(&VPC_NAME),
    takes(&VPC_CIDR),
    takes(&UN_SUBNET_ID),
    takes(&SUBNET_NAME),
    takes(&SUBNET_CIDR),
    takes(&DELIVER_TIME),
    takes(&DEADLINE),
    takes(&PAY_MODE),
    takes(&IS_VPC_GATEWAY),
    takes(&AUTO_RENEW),
    takes(&IS_LUCKY),
    takes(&DEVICE_CLASS),
    takes(&DEVICE_CLASS_CODE),
    takes(&DEVICE_TYPE),
    takes(&MAINTAIN_STATUS),
    takes(&MAINTAIN_MESSAGE),
    takes(&TAGS),
];

/// Some parameters, then every attribute of a device. `ALL` is their number.
const fn with_attributes<const N: usize, const ALL: usize>(
    first: [Accepted; N],
) -> [Accepted; ALL] {
    let mut all = [first[0]; ALL];
    let mut place = 0;
    while place < ALL {
        all[place] = if place < N { first[place] } else { ATTRIBUTES[place - N] };
        place += 1;
    }
    all
}
