use opencpm_domain::{AppId, InstanceId, SecretId, Timestamp, Uin};

use super::Scope;

/// Who owns devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub app_id: AppId,
    /// For people.
    pub name: String,
    /// A blocked account's requests are refused.
    pub blocked: bool,
}

/// An API key. The MAC covers everything else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// The public half.
    pub secret_id: SecretId,
    /// The secret half, encrypted with the secret id as associated data.
    pub encrypted_secret: Vec<u8>,
    /// The account that it acts for.
    pub app_id: AppId,
    /// The user that it acts for.
    pub uin: Uin,
    /// What it may do.
    pub scope: Scope,
    /// SHA-256 of the token that a temporary key needs.
    pub token_hash: Option<[u8; 32]>,
    /// A temporary key ends here.
    pub expires: Option<Timestamp>,
    /// The key that made a temporary one, which ends with it.
    pub maker: Option<SecretId>,
    /// A disabled key is as if unknown.
    pub disabled: bool,
    /// When it was made.
    pub created: Timestamp,
    /// Made by the API role.
    pub mac: [u8; 32],
}

/// Lets machines enrol. The MAC covers everything but the uses left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnrolmentToken {
    /// SHA-256 of the token's secret.
    pub hash: [u8; 32],
    /// The account that the machines come into.
    pub app_id: AppId,
    /// The one device that it enrols again; otherwise it makes new devices.
    pub device: Option<InstanceId>,
    /// How many machines may still use it.
    pub uses_left: u32,
    /// Refused from then on.
    pub expires: Timestamp,
    /// Made by the API role.
    pub mac: [u8; 32],
}

/// One line of the audit table: who changed what. Never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// When.
    pub at: Timestamp,
    /// With which key; `None` for the first start.
    pub secret_id: Option<SecretId>,
    /// For which user.
    pub uin: Option<Uin>,
    /// API 2.0 name of the action, or `FirstStart`, `Enrol`.
    pub action: String,
    /// What was changed, such as `account 1251000000` or `device cpm-34xs43xs`.
    pub subject: String,
}
