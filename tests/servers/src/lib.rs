//! Real PostgreSQL and RabbitMQ servers for tests: each on its own ports of the loopback address
//! and in its own scratch folder, killed and frozen at will, and gone when the process is.
//!
//! Nothing on the machine is touched: neither a server that it runs already, nor its settings.
//! The programs come from Debian's packages `postgresql` and `rabbitmq-server`.

#![forbid(unsafe_code)]
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "in a test a failed expectation is a failed test"
)]

mod daemon;
mod place;
mod postgres;
mod rabbitmq;
mod stranger;

pub use daemon::Daemon;
pub use postgres::{Postgres, PostgresOptions};
pub use rabbitmq::RabbitMq;
pub use stranger::Stranger;

use std::time::{Duration, Instant};

/// How long a server may take to start or to stop. Generous: machines that test are busy.
const LIMIT: Duration = Duration::from_secs(120);

/// Looks again and again for something that another process does.
fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begin.elapsed() < LIMIT, "{what}: not within {LIMIT:?}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}
