//! Between columns and the types of the domain. What does not fit its type is corrupt data.

use opencpm_domain::{
    AppId, DeviceStatus, GatewayId, Generation, InstanceId, JobId, MaintainStatus, OperateStatus,
    PayMode, Reason, SecretId, Sequence, TaskId, Timestamp, Uin,
};
use opencpm_operations::port::StoreError;
use opencpm_protocol::key::{KeyId, VerifyingKey};
use opencpm_protocol::seal::Verb;

use crate::row::{Raw, Row};

/// A type that is kept in one column.
pub(crate) trait Column: Sized {
    /// What the engine holds.
    type Raw: Raw;
    /// The value; `None` when no value is kept like this.
    fn load(raw: Self::Raw) -> Option<Self>;
}

/// Reads a column that is never null.
pub(crate) fn read<T: Column>(row: &Row, name: &'static str) -> Result<T, StoreError> {
    read_optional(row, name)?.ok_or(StoreError::Corrupt(name))
}

/// Reads a column that may be null.
pub(crate) fn read_optional<T: Column>(
    row: &Row,
    name: &'static str,
) -> Result<Option<T>, StoreError> {
    let raw: Option<T::Raw> = Raw::get(row, name)?;
    raw.map(|raw| T::load(raw).ok_or(StoreError::Corrupt(name))).transpose()
}

/// A number as it is kept. The integers of both engines are signed: larger numbers, which only a
/// lying machine could bring, are kept as the largest.
pub(crate) fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A time as it is kept.
pub(crate) fn time(time: Timestamp) -> i64 {
    number(time.as_micros())
}

macro_rules! columns {
    ($($raw:ty => $($name:ty: $load:expr),+;)+) => {$($(
        impl Column for $name {
            type Raw = $raw;

            fn load(raw: $raw) -> Option<Self> {
                let load: fn($raw) -> Option<Self> = $load;
                load(raw)
            }
        }
    )+)+};
}

columns! {
    bool =>
        bool: Some;
    i64 =>
        u8: |n| n.try_into().ok(),
        u16: |n| n.try_into().ok(),
        u32: |n| n.try_into().ok(),
        u64: |n| n.try_into().ok(),
        Timestamp: |n| u64::load(n).map(Timestamp::from_micros),
        Sequence: |n| u64::load(n).map(Sequence::new),
        Generation: |n| u32::load(n).and_then(|n| Generation::new(n).ok()),
        AppId: |n| u64::load(n).and_then(|n| AppId::new(n).ok()),
        TaskId: |n| u64::load(n).and_then(|n| TaskId::new(n).ok()),
        DeviceStatus: |n| u8::load(n).and_then(|n| n.try_into().ok()),
        OperateStatus: |n| u8::load(n).and_then(|n| n.try_into().ok()),
        PayMode: |n| u8::load(n).and_then(|n| n.try_into().ok()),
        Reason: |n| u16::load(n).and_then(Reason::from_number),
        Verb: |n| (n == i64::from(Verb::SetRootPassword.number())).then_some(Verb::SetRootPassword);
    String =>
        String: Some,
        MaintainStatus: |name| MaintainStatus::named(&name),
        InstanceId: |text| InstanceId::parse(&text).ok(),
        SecretId: |text| SecretId::parse(&text).ok(),
        Uin: |text| Uin::parse(&text).ok();
    Vec<u8> =>
        Vec<u8>: Some,
        [u8; 32]: |bytes| bytes.try_into().ok(),
        [u8; 64]: |bytes| bytes.try_into().ok(),
        JobId: |bytes| bytes.try_into().ok().map(JobId::from_bytes),
        GatewayId: |bytes| bytes.try_into().ok().map(GatewayId::from_bytes),
        opencpm_domain::DeploymentId:
            |bytes| bytes.try_into().ok().map(opencpm_domain::DeploymentId::from_bytes),
        KeyId: |bytes| bytes.try_into().ok().map(KeyId::from_bytes),
        VerifyingKey: |bytes| bytes.try_into().ok().map(VerifyingKey::from_bytes);
}
