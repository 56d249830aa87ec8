//! Every parameter of every action. Bounds and names: contract section 4.

use opencpm_domain::MaintainStatus;

use super::{Kind, Parameter};

/// The largest integer that a JSON number carries exactly.
const MOST_JSON: u64 = (1 << 53) - 1;
const MOST_U32: u64 = u32::MAX as u64;
const TEXT: Kind = Kind::Text { most: 255 };
const ADDRESS: Kind = Kind::Text { most: 64 };
const NUMBER: Kind = Kind::Integer { least: 0, most: MOST_U32, most_v3: MOST_U32 };
const ID: Kind = Kind::Integer { least: 1, most: MOST_JSON, most_v3: MOST_JSON };

macro_rules! parameters {
    ($($constant:ident: $name:literal, $v3:expr, $kind:expr, $meaning:literal;)*) => {
        $(
            #[doc = $meaning]
            pub(crate) static $constant: Parameter =
                Parameter { name: $name, name_v3: $v3, kind: $kind, meaning: $meaning };
        )*
    };
}

parameters! {
    // Reset and status.
    RESET_IDS: "instanceIds", Some("InstanceIds"), Kind::Instances { distinct: true },
        "The devices; each once.";
    PASSWD: "passwd", Some("Password"), Kind::Password, "The new password of root.";
    OP_UIN: "opUin", None, TEXT,
        "Accepted for old clients and ignored: the log records the key's own user.";
    TASK_ID: "taskId", Some("TaskId"), ID, "The task.";

    // Lists.
    OFFSET: "offset", Some("Offset"),
        Kind::Integer { least: 0, most: MOST_JSON, most_v3: MOST_JSON },
        "Skip so many; 0 unless given.";
    LIMIT: "limit", Some("Limit"), Kind::Integer { least: 1, most: 1000, most_v3: 100 },
        "At most so many; 20 unless given.";
    LOG_LIMIT: "limit", Some("Limit"), Kind::Integer { least: 1, most: 100, most_v3: 100 },
        "At most so many; 20 unless given.";
    FILTER_IDS: "instanceIds", Some("InstanceIds"), Kind::Instances { distinct: false },
        "Only these devices.";

    // Filters of the device list.
    LAN_IPS: "lanIps", Some("LanIps"), Kind::Texts { most: 64 }, "Any of these private addresses.";
    WAN_IPS: "wanIps", Some("WanIps"), Kind::Texts { most: 64 }, "Any of these public addresses.";
    MGT_IPS: "mgtIps", None, Kind::Texts { most: 64 }, "Any of these management addresses.";
    ALIAS_PART: "alias", Some("Alias"), TEXT, "A part of the alias, in any case.";
    ALIAS_PREFIX: "aliasPrefix", Some("AliasPrefix"), TEXT,
        "What the alias begins with, in any case. Not one of the original API's.";
    VAGUE_IP: "vagueIp", Some("VagueIp"), ADDRESS, "A part of an address.";
    DEADLINE_START: "deadlineStartTime", Some("DeadlineStartTime"), Kind::Time,
        "Expires then or later.";
    DEADLINE_END: "deadlineEndTime", Some("DeadlineEndTime"), Kind::Time,
        "Expires then or earlier.";
    AUTO_RENEW: "autoRenewFlag", Some("AutoRenewFlag"), Kind::Flag, "1 when renewed without asking.";
    VPC_ID: "vpcId", None, NUMBER, "The network, as its old number.";
    SUBNET_ID: "subnetId", None, NUMBER, "The subnet, as its old number.";
    SUBNET_IDS: "subnetIds", None, Kind::Integers { least: 0, most: MOST_U32 },
        "Any of these subnets, as old numbers; not beside subnetId.";
    UN_VPC_ID: "unVpcId", Some("VpcId"), TEXT, "The network.";
    UN_SUBNET_ID: "unSubnetId", Some("SubnetId"), TEXT, "The subnet.";
    UN_SUBNET_IDS: "unSubnetIds", None, Kind::Texts { most: 255 }, "Any of these subnets; not beside unSubnetId.";
    DEVICE_CLASS: "deviceClass", None, TEXT, "The class, as its old name.";
    DEVICE_CLASS_CODE: "deviceClassCode", Some("DeviceClassCode"), TEXT, "The class.";
    PROJECT_ID: "projectId", None, NUMBER, "The project.";
    DEVICE_TYPE: "deviceType", Some("DeviceType"), TEXT,
        "The type, such as compute, standard or storage.";
    IS_LUCKY: "isLuckyDevice", Some("IsLuckyDevice"), Kind::Flag, "1 for a device at a special price.";
    MAINTAIN_STATUS: "maintainStatus", Some("MaintainStatus"),
        Kind::Choice(&MaintainStatus::NAMES), "Whether maintenance covers the device.";
    TAG_FILTERS: "tags", Some("Tags"), Kind::Tags,
        "All of these tags: the key with any of the values, or with any at all where none is given.";
    STATUSES: "status", None, Kind::DeviceStatuses, "Any of these values of deviceStatus.";
    ORDER: "order", Some("Order"), Kind::Flag, "0 ascending, 1 descending; 0 unless given.";
    ORDER_FIELD: "orderField", Some("OrderField"),
        Kind::Choice(&["instanceId", "alias", "lanIp", "subnetId", "deliverTime", "deadline"]),
        "Sort by this; instanceId unless given.";

    // The log.
    INSTANCE_ID: "instanceId", Some("InstanceId"), Kind::Instance, "The device.";
    START_TIME: "startTime", Some("StartTime"), Kind::Day,
        "Started on this day or later; seven days ago unless given.";
    END_TIME: "endTime", Some("EndTime"), Kind::Day,
        "Started on this day or earlier; today unless given.";

    // Administration.
    APP_ID: "appId", Some("AppId"), ID, "The account.";
    NAME: "name", Some("Name"), Kind::Text { most: 64 }, "A name for people.";
    BLOCKED: "blocked", Some("Blocked"), Kind::Flag,
        "1 to refuse the account's requests, 0 to take them again.";
    UIN: "uin", Some("Uin"), Kind::Uin, "The user on whose behalf a key acts; 1 to 20 digits.";
    KEY_ID: "keyId", Some("KeyId"), Kind::SecretId, "The public half of an API key.";
    ADMIN: "admin", Some("Admin"), Kind::Flag, "1 for a key that may administrate.";
    ACTION_NAMES: "actions", Some("Actions"), Kind::Actions,
        "API 2.0 names of the actions that the key may use; all unless given.";
    OWN_DEVICES: "instanceIds", Some("InstanceIds"), Kind::Instances { distinct: false },
        "The key's own devices; all of its account unless devices or tags are given.";
    OWN_TAGS: "tags", Some("Tags"), Kind::Tags,
        "Devices with one of these tags are the key's own, too.";
    KEY_SECONDS: "validSeconds", Some("ValidSeconds"),
        Kind::Integer { least: 60, most: 43_200, most_v3: 43_200 },
        "How long the key is good for: a minute to twelve hours.";
    DISABLED: "disabled", Some("Disabled"), Kind::Flag, "1 to disable, 0 to enable.";
    USES: "uses", Some("Uses"), Kind::Integer { least: 1, most: 1_000_000, most_v3: 1_000_000 },
        "How many machines may enrol; 1 unless given.";
    VALID_SECONDS: "validSeconds", Some("ValidSeconds"),
        Kind::Integer { least: 60, most: 31_536_000, most_v3: 31_536_000 },
        "How long a token is valid; a day unless given.";
    NODE_NAMES: "names", Some("Names"), Kind::Texts { most: 253 },
        "What the nodes' certificates carry; the hosts of the gateways' addresses unless given. \
         Never a name of the API.";
    NODE_USES: "uses", Some("Uses"), Kind::Integer { least: 1, most: 1_000, most_v3: 1_000 },
        "How many nodes may join; 1 unless given.";
    NODE_ID: "nodeId", Some("NodeId"), Kind::Text { most: 16 }, "The node.";
    MAINTENANCE: "enabled", Some("Enabled"), Kind::Flag, "1 to begin maintenance, 0 to end it.";
    MESSAGE: "message", Some("Message"), TEXT, "Told to callers whose changes are refused.";

    // Attributes of a device.
    ALIAS: "alias", Some("Alias"), TEXT, "A name for people.";
    LAN_IP: "lanIp", Some("LanIp"), ADDRESS, "Address in the private network.";
    WAN_IP: "wanIp", Some("WanIp"), ADDRESS, "Public address.";
    MGT_IP: "mgtIp", Some("MgtIp"), ADDRESS, "Management address.";
    DEVICE_STATUS: "deviceStatus", Some("DeviceStatus"), Kind::DeviceStatus,
        "Where the device is in its life.";
    OPERATE_STATUS: "operateStatus", Some("OperateStatus"), Kind::OperateStatus,
        "What is being done to the device; never 11, which an open task shows.";
    OS_TYPE_ID: "osTypeId", Some("OsTypeId"), NUMBER, "Operating system, as a number.";
    RAID_ID: "raidId", Some("RaidId"), NUMBER, "RAID, as a number.";
    ZONE_ID: "zoneId", None, NUMBER, "Zone, as a number.";
    ZONE: "zone", Some("Zone"), TEXT, "Zone, as text.";
    DHCP_IP: "dhcpIp", Some("DhcpIp"), ADDRESS, "Address that DHCP gives it.";
    VPC_NAME: "vpcName", Some("VpcName"), TEXT, "The network's name.";
    VPC_CIDR: "vpcCidrBlock", Some("VpcCidrBlock"), ADDRESS, "The network's range of addresses.";
    SUBNET_NAME: "subnetName", Some("SubnetName"), TEXT, "The subnet's name.";
    SUBNET_CIDR: "subnetCidrBlock", Some("SubnetCidrBlock"), ADDRESS,
        "The subnet's range of addresses.";
    PAY_MODE: "cpmPayMode", Some("CpmPayMode"), Kind::Integer { least: 0, most: 3, most_v3: 3 },
        "How it is paid for: 1 prepaid, 2 postpaid, 3 changing, 0 not known.";
    MAINTAIN_MESSAGE: "maintainMessage", Some("MaintainMessage"), TEXT,
        "What is to be said of its maintenance.";
    TAGS: "tags", Some("Tags"), Kind::Tags,
        "All of its tags from now on: each key with each of its values, or with an empty one.";
    CLEAR: "clear", Some("Clear"),
        Kind::Choices(&["deliverTime", "deadline", "maintainStatus", "maintainMessage", "tags"]),
        "What is no longer known, or no longer there.";
    DELIVER_TIME: "deliverTime", Some("DeliverTime"), Kind::Time, "Delivered to its account.";
    DEADLINE: "deadline", Some("Deadline"), Kind::Time, "Paid until.";
    IS_VPC_GATEWAY: "isVpcGateway", Some("IsVpcGateway"), Kind::Flag,
        "1 for a gateway of its network.";
}
