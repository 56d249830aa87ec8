/// The store cannot do it now, or never could.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Unreachable, full, read-only or the like: later it may work.
    #[error("the store is not available")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The lease of the gateway that asks is not valid.
    #[error("the lease of the gateway has ended")]
    LeaseEnded,
    /// The data cannot be as it is.
    #[error("the store holds impossible data: {0}")]
    Corrupt(&'static str),
    /// Made by a newer version.
    #[error("the store has schema {found}, this version knows up to {known}")]
    Newer {
        /// The schema in the store.
        found: i64,
        /// The newest schema that this version knows.
        known: i64,
    },
}

impl StoreError {
    /// Whether the change that failed may be durable all the same.
    pub fn is_outcome_unknown(&self) -> bool {
        matches!(self, Self::Unavailable(source) if source.is::<OutcomeUnknown>())
    }
}

/// The source of [`StoreError::Unavailable`] where a change was about to become durable: whether it
/// is, nobody knows. Made again, it finds what it has done already.
#[derive(Debug, thiserror::Error)]
#[error("the answer to a commit was lost")]
pub struct OutcomeUnknown(#[source] pub Box<dyn std::error::Error + Send + Sync>);
