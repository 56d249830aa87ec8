use opencpm_domain::{DeviceStatus, MaintainStatus, OperateStatus, PayMode, Timestamp};

macro_rules! attributes {
    ($($(#[$doc:meta])* $field:ident: $type:ty $(= $default:expr)?;)*) => {
        /// What the contract's answers tell of a device (contract 4.3) and an administrator may
        /// edit. Unknown: empty text, 0, `None`.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Attributes {
            $($(#[$doc])* pub $field: $type,)*
        }

        impl Default for Attributes {
            /// A device in operation and running, of which nothing else is known.
            fn default() -> Self {
                Self { $($field: attributes!(@default $($default)?),)* }
            }
        }

        /// New values of a device's attributes; `None` leaves one as it is.
        #[derive(Clone, Debug, PartialEq, Eq, Default)]
        pub struct AttributeChanges {
            $(
                #[doc = concat!("As [`Attributes::", stringify!($field), "`].")]
                pub $field: Option<$type>,
            )*
        }

        impl AttributeChanges {
            /// Replaces what is given.
            pub fn apply(self, attributes: &mut Attributes) {
                $(if let Some(value) = self.$field { attributes.$field = value; })*
            }
        }

        impl From<Attributes> for AttributeChanges {
            /// Replaces everything.
            fn from(attributes: Attributes) -> Self {
                Self { $($field: Some(attributes.$field),)* }
            }
        }
    };
    (@default) => { Default::default() };
    (@default $value:expr) => { $value };
}

attributes! {
    /// For people; searched as a substring or by its beginning.
    alias: String;
    /// Address in the private network.
    lan_ip: String;
    /// Public address.
    wan_ip: String;
    /// Management address.
    mgt_ip: String;
    /// Address that DHCP gives it.
    dhcp_ip: String;
    /// Where it is in its life.
    device_status: DeviceStatus = DeviceStatus::InOperation;
    /// What is being done to it; never `ResettingPassword`.
    operate_status: OperateStatus = OperateStatus::Running;
    /// Operating system, as a number.
    os_type_id: u64;
    /// RAID, as a number.
    raid_id: u64;
    /// Zone, as a number (2.0).
    zone_id: u64;
    /// Zone, as text (3.0).
    zone: String;
    /// Project.
    project_id: u64;
    /// Network, old number.
    vpc_id: u64;
    /// Subnet, old number.
    subnet_id: u64;
    /// Network.
    un_vpc_id: String;
    /// Network, its name.
    vpc_name: String;
    /// Network, its range of addresses.
    vpc_cidr: String;
    /// Subnet.
    un_subnet_id: String;
    /// Subnet, its name.
    subnet_name: String;
    /// Subnet, its range of addresses.
    subnet_cidr: String;
    /// Delivered to its account.
    deliver_time: Option<Timestamp>;
    /// Paid until.
    deadline: Option<Timestamp>;
    /// How it is paid for.
    pay_mode: PayMode = PayMode::Unknown;
    /// Is a gateway of its network.
    is_vpc_gateway: bool;
    /// Renewed without asking.
    auto_renew: bool;
    /// Is a device at a special price ("lucky").
    is_lucky: bool;
    /// Class, old name.
    device_class: String;
    /// Class.
    device_class_code: String;
    /// Type: `compute`, `standard`, `storage` or another.
    device_type: String;
    /// State of its maintenance.
    maintain_status: Option<MaintainStatus>;
    /// What is to be said of its maintenance.
    maintain_message: Option<String>;
    /// Labels. A store reads them by key, then by value, each pair once.
    tags: Vec<Tag>;
}

/// A label of a device. A key may have several values.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tag {
    /// Name.
    pub key: String,
    /// Value.
    pub value: String,
    /// The API role's word that this device was given this tag; `None` until it is given, and where
    /// a version without MACs gave it. A reset by a key that is limited by a tag asks for it.
    pub mac: Option<[u8; 32]>,
}
