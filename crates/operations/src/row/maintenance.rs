use opencpm_domain::Timestamp;

/// The service is under maintenance: reads work, changes are refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Maintenance {
    /// Since when.
    pub since: Timestamp,
    /// Told to callers whose changes are refused; may be empty.
    pub message: String,
}
