//! Every field of every answer (contract section 4; those of our own actions are ours).

use super::field::When::{Always, OrNull, Sometimes};
use super::{Field, Holds, Shape};
use Holds::{Flag, Number, Object, Objects, Text, Texts};

macro_rules! fields {
    ($($constant:ident: $when:ident, $holds:expr, $name:expr, $v3:expr, $meaning:literal;)*) => {
        $(
            #[doc = $meaning]
            pub(crate) static $constant: Field =
                Field { name: $name, name_v3: $v3, holds: $holds, when: $when, meaning: $meaning };
        )*
    };
}

macro_rules! shapes {
    ($($constant:ident: $name:literal, texts $texts:literal, [$($field:ident),*];)*) => {
        $(
            #[doc = concat!("The fields of `", $name, "`.")]
            pub(crate) static $constant: Shape =
                Shape { name: $name, fields: &[$(&$field),*], texts_in_v2: $texts };
        )*

        /// Every object that an answer can hold.
        pub static SHAPES: &[&Shape] = &[$(&$constant),*];
    };
}

shapes! {
    NOTHING: "Nothing", texts false, [];
    ACCEPTED: "AcceptedTask", texts false, [TASK_ID];
    RESULT: "TaskStatus", texts false, [STATUS, BY_INSTANCE, BY_RESOURCE];
    DEVICE_RESULT: "DeviceResult", texts false, [INSTANCE_ID, STATUS, REASON_TEXT, ADVICE_V2];
    NOTE: "Note", texts false, [NOTE_CODE, NOTE_TEXT];
    DEVICES: "DeviceList", texts false, [TOTAL, DEVICE_LIST, SERVER_TIMESTAMP];
    DEVICE: "Device", texts true, [
        INSTANCE_ID, VPC_NUMBER, SUBNET_NUMBER, VPC, SUBNET, LAN_IP, WAN_IP, DEVICE_STATUS,
        OPERATE_STATUS, OS_TYPE_ID, RAID_ID, ALIAS, APP_ID, ZONE_NUMBER, ZONE, PROJECT_ID,
        DELIVER_TIME, DEADLINE, IS_VPC_GATEWAY, AUTO_RENEW, DEVICE_CLASS, DEVICE_CLASS_CODE,
        TAG_DETAIL, TAGS, MGT_IP, PAY_MODE, DHCP_IP, VPC_NAME, SUBNET_NAME, VPC_CIDR, SUBNET_CIDR,
        IS_LUCKY, DEVICE_TYPE, MAINTAIN_STATUS_V2, MAINTAIN_MESSAGE_V2, MAINTAIN_STATUS,
        MAINTAIN_MESSAGE
    ];
    TAG: "Tag", texts false, [TAG_KEY, TAG_VALUE];
    TAG_V3: "TagWithValues", texts false, [TAG_KEY_V3, TAG_VALUES];
    AGENTS: "AgentList", texts false, [TOTAL, AGENT_LIST];
    AGENT: "Agent", texts false, [INSTANCE_ID, AGENT_STATUS, AGENT_VERSION, LAST_SEEN];
    LOG: "OperationLog", texts false, [LOG_TOTAL, LOGS];
    LOG_ENTRY: "LogEntry", texts true, [
        LOG_ID, INSTANCE_ID, TASK_ID, LOG_APP_ID, TASK_NAME, TASK_DESCRIPTION, START_TIME,
        END_TIME, LOG_STATUS, OP_UIN, MEMO
    ];
    TASK: "Task", texts false, [
        TASK_ID, APP_ID, OP_UIN, TASK_NAME, START_TIME, TASK_DEADLINE, STATUS, TASK_DEVICES
    ];
    TASK_DEVICE: "TaskDevice", texts false, [
        INSTANCE_ID, JOB_ID, STATUS, ATTEMPTS, END_TIME_OR_EMPTY, APPLY_TIME, CORRECTED, REASON,
        ADVICE
    ];
    VERIFICATION: "Verification", texts false,
        [TASK_ID, VERIFIED, VERIFIED_DEVICES];
    VERIFIED_DEVICE: "VerifiedDevice", texts false,
        [INSTANCE_ID, VERIFIED, FINDING];
    ACCOUNTS: "AccountList", texts false, [TOTAL, ACCOUNT_LIST];
    ACCOUNT: "Account", texts false, [APP_ID, NAME, BLOCKED];
    NEW_KEY: "NewKey", texts false, [SECRET_ID, SECRET_KEY];
    NEW_TEMPORARY_KEY: "NewTemporaryKey", texts false,
        [SECRET_ID, SECRET_KEY, KEY_TOKEN, EXPIRE_TIME];
    KEYS: "KeyList", texts false, [TOTAL, KEY_LIST];
    KEY: "Key", texts false, [
        SECRET_ID, APP_ID, UIN, ADMIN, ACTIONS, OWN_DEVICES, TEMPORARY, MAKER, EXPIRE_TIME,
        DISABLED, CREATE_TIME
    ];
    SCOPE: "OwnDevices", texts false, [OWN_IDS, OWN_TAGS];
    OWN_TAG: "OwnTag", texts false, [OWN_TAG_KEY, OWN_TAG_VALUES];
    NEW_DEVICE: "NewDevice", texts false, [INSTANCE_ID];
    TOKEN: "EnrolmentToken", texts false, [ENROLMENT_TOKEN, EXPIRE_TIME];
    NODE_TOKEN: "NodeToken", texts false, [NEW_NODE_TOKEN, EXPIRE_TIME];
    NODES: "NodeList", texts false, [TOTAL, NODE_LIST];
    NODE: "Node", texts false, [NODE_ID, HOST_NAME, NODE_NAMES, JOIN_TIME, RENEW_TIME, REVOKED];
    MAINTENANCE_STATE: "Maintenance", texts false,
        [UNDER_MAINTENANCE, MESSAGE, MAINTENANCE_START];
}

fields! {
    // Of several answers.
    INSTANCE_ID: Always, Text, Some("instanceId"), Some("InstanceId"), "The device.";
    TASK_ID: Always, Number, Some("taskId"), Some("TaskId"), "The task.";
    APP_ID: Always, Number, Some("appId"), Some("AppId"), "The account.";
    TOTAL: Always, Number, Some("totalNum"), Some("TotalCount"),
        "How many match in all, not on this page.";
    STATUS: Always, Number, Some("status"), Some("TaskStatus"),
        "1 succeeded, 2 failed, 4 incomplete; of a task, the bitwise OR of its devices'.";
    EXPIRE_TIME: Always, Text, Some("expireTime"), Some("ExpireTime"),
        "Refused from then on; empty for never.";
    REQUEST_ID: Always, Text, None, Some("RequestId"), "Of this request; in errors too.";

    // A task's status.
    BY_INSTANCE: Always, Objects(&DEVICE_RESULT), Some("instanceIds"), Some("SubtaskStatusSet"),
        "One for each device, in the order of the request.";
    BY_RESOURCE: Always, Objects(&DEVICE_RESULT), Some("resourceIds"), None,
        "The same under its other documented name.";
    REASON_TEXT: Sometimes, Text, Some("reason"), None,
        "Why the device failed: a stable name, a colon, a sentence.";
    ADVICE_V2: Sometimes, Objects(&NOTE), Some("advice"), None,
        "What still keeps root out, or would undo the change.";
    NOTE_CODE: Always, Text, Some("code"), Some("Code"), "A stable name.";
    NOTE_TEXT: Always, Text, Some("text"), Some("Text"), "Its sentence.";

    // Devices.
    DEVICE_LIST: Always, Objects(&DEVICE), Some("deviceList"), Some("DeviceInfoSet"), "One page.";
    SERVER_TIMESTAMP: Always, Number, Some("serverTimestamp"), None, "Now, in milliseconds.";
    VPC_NUMBER: Always, Number, Some("vpcId"), None, "The network, as its old number.";
    SUBNET_NUMBER: Always, Number, Some("subnetId"), None, "The subnet, as its old number.";
    VPC: Always, Text, Some("unVpcId"), Some("VpcId"), "The network.";
    SUBNET: Always, Text, Some("unSubnetId"), Some("SubnetId"), "The subnet.";
    LAN_IP: Always, Text, Some("lanIp"), Some("LanIp"), "Address in the private network.";
    WAN_IP: Always, Text, Some("wanIp"), Some("WanIp"), "Public address.";
    DEVICE_STATUS: Always, Number, Some("deviceStatus"), Some("DeviceStatus"),
        "Where the device is in its life; 4 is in operation.";
    OPERATE_STATUS: Always, Number, Some("operateStatus"), Some("OperateStatus"),
        "What is being done to the device; 1 is running, 11 resetting the password.";
    OS_TYPE_ID: Always, Number, Some("osTypeId"), Some("OsTypeId"), "Operating system.";
    RAID_ID: Always, Number, Some("raidId"), Some("RaidId"), "RAID.";
    ALIAS: Always, Text, Some("alias"), Some("Alias"), "A name for people.";
    ZONE_NUMBER: Always, Number, Some("zoneId"), None, "Zone, as a number.";
    ZONE: Always, Text, Some("zone"), Some("Zone"), "Zone, as text; ours in API 2.0.";
    PROJECT_ID: Always, Number, Some("projectId"), None, "The project.";
    DELIVER_TIME: Always, Text, Some("deliverTime"), Some("DeliverTime"),
        "Delivered to its account; empty where unknown.";
    DEADLINE: Always, Text, Some("deadline"), Some("Deadline"), "Paid until; empty where unknown.";
    IS_VPC_GATEWAY: Always, Number, Some("isVpcGateway"), None, "1 for a gateway of its network.";
    AUTO_RENEW: Always, Number, Some("autoRenewFlag"), Some("AutoRenewFlag"),
        "1 when renewed without asking.";
    DEVICE_CLASS: Always, Text, Some("deviceClass"), None, "The class, as its old name.";
    DEVICE_CLASS_CODE: Always, Text, Some("deviceClassCode"), Some("DeviceClassCode"), "The class.";
    TAG_DETAIL: Always, Objects(&TAG), Some("tagDetail"), None, "Tags, one for each value.";
    TAGS: Always, Objects(&TAG_V3), None, Some("Tags"), "Tags, each with its values.";
    TAG_KEY: Always, Text, Some("key"), None, "Name.";
    TAG_VALUE: Always, Text, Some("value"), None, "Value.";
    TAG_KEY_V3: Always, Text, None, Some("TagKey"), "Name.";
    TAG_VALUES: Always, Texts, None, Some("TagValues"), "Values.";
    // Those with an API 2.0 name from here on are ours there: the original does not tell them.
    MGT_IP: Always, Text, Some("mgtIp"), None, "Management address.";
    PAY_MODE: Always, Number, Some("cpmPayMode"), Some("CpmPayMode"),
        "1 prepaid, 2 postpaid, 3 changing from the one to the other; 0 unknown.";
    DHCP_IP: Always, Text, Some("dhcpIp"), Some("DhcpIp"), "Address given by DHCP.";
    VPC_NAME: Always, Text, Some("vpcName"), Some("VpcName"), "The network's name.";
    SUBNET_NAME: Always, Text, Some("subnetName"), Some("SubnetName"), "The subnet's name.";
    VPC_CIDR: Always, Text, Some("vpcCidrBlock"), Some("VpcCidrBlock"), "The network's addresses.";
    SUBNET_CIDR: Always, Text, Some("subnetCidrBlock"), Some("SubnetCidrBlock"),
        "The subnet's addresses.";
    IS_LUCKY: Always, Number, Some("isLuckyDevice"), Some("IsLuckyDevice"),
        "1 for a device at a special price.";
    DEVICE_TYPE: Always, Text, Some("deviceType"), None,
        "Type, such as compute, standard or storage.";
    MAINTAIN_STATUS_V2: Always, Text, Some("maintainStatus"), None,
        "Maintain, WillExpire or Expire; empty where unknown.";
    MAINTAIN_MESSAGE_V2: Always, Text, Some("maintainMessage"), None,
        "About the maintenance; empty where unknown.";
    MAINTAIN_STATUS: OrNull, Text, None, Some("MaintainStatus"),
        "Maintain, WillExpire or Expire.";
    MAINTAIN_MESSAGE: OrNull, Text, None, Some("MaintainMessage"), "About the maintenance.";

    // Agents.
    AGENT_LIST: Always, Objects(&AGENT), Some("agentList"), None, "One page.";
    AGENT_STATUS: Always, Number, Some("agentStatus"), None,
        "1 connected, 0 not connected, 2 never enrolled.";
    AGENT_VERSION: Always, Text, Some("agentVersion"), None, "The agent's version.";
    LAST_SEEN: Always, Text, Some("lastSeenTime"), None,
        "When a connection was last made or ended; empty for never.";

    // The operation log.
    LOG_TOTAL: Always, Number, Some("totalCount"), Some("TotalCount"),
        "How many match in all, not on this page.";
    LOGS: Always, Objects(&LOG_ENTRY), Some("logs"), Some("DeviceOperationLogSet"),
        "One page, newest first.";
    LOG_ID: Always, Number, Some("id"), Some("Id"), "The entry.";
    LOG_APP_ID: Always, Number, Some("appId"), None, "The account.";
    TASK_NAME: Always, Text, Some("taskName"), Some("TaskName"), "What was done: resetPasswd.";
    TASK_DESCRIPTION: Always, Text, Some("taskCName"), Some("TaskDescription"),
        "The same for people.";
    START_TIME: Always, Text, Some("startTime"), Some("StartTime"), "When it was accepted.";
    END_TIME: Always, Text, Some("endTime"), Some("EndTime"),
        "When it ended; a running entry repeats its start.";
    LOG_STATUS: Always, Number, Some("status"), Some("Status"), "0 running, 1 succeeded, 2 failed.";
    OP_UIN: Always, Text, Some("opUin"), Some("OpUin"), "The user whose key was used.";
    MEMO: Always, Text, Some("memo"), Some("LogDescription"),
        "What was done, why it failed, advice, and whether a late report corrected it.";

    // A task.
    TASK_DEADLINE: Always, Text, Some("deadline"), Some("Deadline"), "Every job has ended by then.";
    TASK_DEVICES: Always, Objects(&TASK_DEVICE), Some("devices"), Some("Devices"),
        "One for each device, in the order of the request.";
    JOB_ID: Always, Text, Some("jobId"), Some("JobId"), "The device's share of the task.";
    ATTEMPTS: Always, Number, Some("attempts"), Some("Attempts"),
        "How often it was sent to the machine.";
    END_TIME_OR_EMPTY: Always, Text, Some("endTime"), Some("EndTime"),
        "When it ended; empty while it runs.";
    APPLY_TIME: Always, Text, Some("applyTime"), Some("ApplyTime"),
        "When the machine changed the password, by its own clock; empty unless it did.";
    CORRECTED: Always, Flag, Some("corrected"), Some("Corrected"),
        "True when a late report replaced an earlier end.";
    REASON: Sometimes, Object(&NOTE), Some("reason"), Some("Reason"), "Why the device failed.";
    ADVICE: Always, Objects(&NOTE), Some("advice"), Some("Advice"),
        "What still keeps root out, or would undo the change.";
    VERIFIED: Always, Flag, Some("verified"), Some("Verified"), "True when every success is proven.";
    VERIFIED_DEVICES: Always, Objects(&VERIFIED_DEVICE), Some("devices"), Some("Devices"),
        "The devices that succeeded.";
    FINDING: Always, Text, Some("finding"), Some("Finding"), "What is wrong with the proof, if anything.";

    // Administration.
    ACCOUNT_LIST: Always, Objects(&ACCOUNT), Some("accountList"), Some("AccountList"), "All of them.";
    NAME: Always, Text, Some("name"), Some("Name"), "A name for people.";
    BLOCKED: Always, Flag, Some("blocked"), Some("Blocked"), "True when its requests are refused.";
    SECRET_ID: Always, Text, Some("secretId"), Some("SecretId"), "The public half of the key.";
    SECRET_KEY: Always, Text, Some("secretKey"), Some("SecretKey"),
        "The secret half: here, and nowhere else.";
    KEY_TOKEN: Always, Text, Some("token"), Some("Token"),
        "Goes with each request of the key: here, and nowhere else.";
    KEY_LIST: Always, Objects(&KEY), Some("keyList"), Some("KeyList"), "All of them.";
    UIN: Always, Text, Some("uin"), Some("Uin"), "The user on whose behalf the key acts.";
    ADMIN: Always, Flag, Some("admin"), Some("Admin"), "True for a key that may administrate.";
    ACTIONS: Sometimes, Texts, Some("actions"), Some("Actions"),
        "API 2.0 names of the actions that it may use; absent for all.";
    OWN_DEVICES: Sometimes, Object(&SCOPE), Some("devices"), Some("Devices"),
        "The devices that it sees and may reset; absent for all of its account.";
    OWN_IDS: Always, Texts, Some("instanceIds"), Some("InstanceIds"), "These.";
    OWN_TAGS: Always, Objects(&OWN_TAG), Some("tags"), Some("Tags"),
        "Those with one of these tags.";
    OWN_TAG_KEY: Always, Text, Some("tagKey"), Some("TagKey"), "Name.";
    OWN_TAG_VALUES: Always, Texts, Some("tagValues"), Some("TagValues"),
        "Any of these values; of none, any value at all.";
    TEMPORARY: Always, Flag, Some("temporary"), Some("Temporary"), "True for a key that needs a token.";
    MAKER: Sometimes, Text, Some("makerId"), Some("MakerId"),
        "The public half of the key that made a temporary one.";
    DISABLED: Always, Flag, Some("disabled"), Some("Disabled"), "True for a key that is switched off.";
    CREATE_TIME: Always, Text, Some("createTime"), Some("CreateTime"), "When it was made.";
    ENROLMENT_TOKEN: Always, Text, Some("token"), Some("Token"),
        "With which machines enrol: here, and nowhere else.";
    NEW_NODE_TOKEN: Always, Text, Some("token"), Some("Token"),
        "With which nodes join: here, and nowhere else.";
    NODE_LIST: Always, Objects(&NODE), Some("nodeList"), Some("NodeList"), "All of them.";
    NODE_ID: Always, Text, Some("nodeId"), Some("NodeId"), "The node.";
    HOST_NAME: Always, Text, Some("hostname"), Some("Hostname"),
        "The machine's name, as it says itself.";
    NODE_NAMES: Always, Texts, Some("names"), Some("Names"), "What its certificates carry.";
    JOIN_TIME: Always, Text, Some("joinTime"), Some("JoinTime"), "When it joined.";
    RENEW_TIME: Always, Text, Some("renewTime"), Some("RenewTime"),
        "When it was last given a certificate.";
    REVOKED: Always, Flag, Some("revoked"), Some("Revoked"),
        "True for a node that gets no certificate any more.";
    UNDER_MAINTENANCE: Always, Flag, Some("enabled"), Some("Enabled"),
        "True while changes are refused.";
    MESSAGE: Always, Text, Some("message"), Some("Message"),
        "What callers are told whose changes are refused; may be empty.";
    MAINTENANCE_START: Always, Text, Some("startTime"), Some("StartTime"),
        "When it began; empty without maintenance.";
}
