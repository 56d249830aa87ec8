use opencpm_domain::Timestamp;

/// The time of day. Handed in, so that tests move it by hand.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}
