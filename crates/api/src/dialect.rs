//! The two dialects, and what is fixed about each.

/// The two ways to ask for the same operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// API 2.0.
    V2,
    /// API 3.0.
    V3,
}

impl Dialect {
    /// Where its requests go (contract section 1).
    pub const fn path(self) -> &'static str {
        match self {
            Self::V2 => "/v2/index.php",
            Self::V3 => "/",
        }
    }

    /// Whether a name in a form is not an action's parameter: in API 2.0 any that begins in upper
    /// case, in API 3.0 the common ones (contract 2.1).
    pub(crate) fn is_common(self, name: &str) -> bool {
        match self {
            Self::V2 => name.starts_with(|c: char| c.is_ascii_uppercase()),
            Self::V3 => COMMON.contains(&name),
        }
    }
}

/// The one version of API 3.0 (contract section 1).
pub const VERSION: &str = "2018-04-23";

/// The common parameters of API 2.0 and of v1 of API 3.0 (contract 2.1).
pub const COMMON: &[&str] = &[
    "Action",
    "SecretId",
    "Timestamp",
    "Nonce",
    "Signature",
    "SignatureMethod",
    "Region",
    "Token",
    "Version",
    "Language",
    "RequestClient",
    "RequestSource",
];
