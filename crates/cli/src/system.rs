//! The real clock and the real randomness, for the ports of the operations.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use opencpm_domain::Timestamp;
use opencpm_operations::port::{Clock, Random};

/// The system's clock.
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the system")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_micros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
    }
}

/// The kernel's random number generator.
pub(crate) struct SystemRandom;

impl Random for SystemRandom {
    #[expect(clippy::panic, reason = "keys and nonces that can be guessed are worse than a stop")]
    fn fill(&self, buffer: &mut [u8]) {
        if let Err(error) = getrandom::fill(buffer) {
            panic!("the system gives no random bytes: {error}");
        }
    }
}

/// Both, where they are handed in.
pub(crate) fn clock_and_random() -> (Arc<dyn Clock>, Arc<dyn Random>) {
    (Arc::new(SystemClock), Arc::new(SystemRandom))
}
