//! The clock window: 300 s either way (contract 2.6). The exact second is shown where the clock
//! can be held still, in the tests of the edge.

use opencpm_domain::Condition::ClockSkew;

use super::Section;
use crate::ask::{ALL, devices, reset};
use crate::case::{done, refused};

pub(super) fn section() -> Section {
    let mut cases = Vec::new();
    for seconds in [-290, -60, -1, 0, 1, 60, 290, 300] {
        cases.push(done(format!("{seconds} s"), ALL, devices().later(seconds)));
    }
    for seconds in [-301, -302, -7_200, -86_400, 310, 7_200, 86_400, 315_360_000] {
        let ask = devices().later(seconds);
        cases.push(refused(format!("{seconds} s"), ALL, ask, ClockSkew));
    }
    for timestamp in ["0", "1", "18446744073709551615", "00000000000000000001"] {
        let ask = devices().common("Timestamp", timestamp);
        cases.push(refused(format!("Timestamp {timestamp}"), ALL, ask, ClockSkew));
    }
    let in_milliseconds = devices().common("Timestamp", "1700000000000");
    cases.push(refused("milliseconds", ALL, in_milliseconds, ClockSkew));
    cases.push(refused("a reset from yesterday", ALL, reset().later(-86_400), ClockSkew));
    Section { title: "clock", cases, stories: Vec::new() }
}
