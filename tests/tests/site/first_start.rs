//! The first start makes keys, a database and the first key; whoever interrupts it starts again.

use std::time::{Duration, Instant};

use opencpm_tests::{Service, Site};

const ROUNDS: u32 = 40;

/// On an idle machine a first start takes about half as long.
const LATEST: Duration = Duration::from_millis(120);

#[test]
fn a_first_start_that_is_killed_at_any_moment_is_simply_started_again() {
    for round in 0..ROUNDS {
        let mut service = Service::begin("127.0.0.1", Site::DEADLINE);
        let (start, moment) = (Instant::now(), LATEST * round / ROUNDS);
        while start.elapsed() < moment {
            std::thread::park_timeout(moment.saturating_sub(start.elapsed()));
        }
        service.process.kill();
        service.process.tend();
        service.answers();
    }
}
