//! Times in requests and in answers (contract section 3, 4.3, 4.4).

use opencpm_domain::Condition::ParameterInvalid;
use serde_json::json;

use super::Section;
use crate::ask::{ALL, V2, V3, devices, log};
use crate::case::{done, refused, shows};

pub(super) fn section() -> Section {
    let mut cases = Vec::new();
    for text in ["2018-09-05", "2018-09-05 01:02:03", "2020-02-29", "1970-01-01", "9998-12-31"] {
        let name = format!("the log from {text}");
        cases.push(done(name, ALL, log().with("startTime", text)));
        cases.push(done(format!("the log to {text}"), ALL, log().with("endTime", text)));
    }
    for text in [
        "2018-9-5",
        "2018/09/05",
        "20180905",
        "2018-02-30",
        "2018-13-01",
        "2018-00-01",
        "2019-02-29",
        "2018-09-05T01:02:03",
        "2018-09-05 24:00:00",
        "2018-09-05 01:60:00",
        "2018-09-05 01:02",
        "2018-09-05 01:02:03Z",
        "2018-09-05 1:2:3",
        " 2018-09-05",
        "2018-09-05 ",
        "yesterday",
        "1536109323",
    ] {
        let name = format!("the log from {text:?}");
        cases.push(refused(name, ALL, log().with("startTime", text), ParameterInvalid));
    }
    cases.push(refused(
        "the log to a day that is none",
        ALL,
        log().with("endTime", "2018-02-30"),
        ParameterInvalid,
    ));
    for (name, way) in [("deadlineStartTime", ALL), ("deadlineEndTime", ALL)] {
        let at = |text: &str| devices().with(name, text);
        cases.push(done(format!("{name} as a second"), way, at("2018-05-10 00:00:00")));
        for text in ["2018-05-10", "2018-05-10T00:00:00", "2018-05-10 00:00", "00:00:00", "0"] {
            cases.push(refused(format!("{name} {text:?}"), way, at(text), ParameterInvalid));
        }
    }
    let first = || devices().by("lister").with("instanceIds.0", "<listed-1>");
    cases.push(shows(
        "times in answers of 2.0",
        V2,
        first(),
        &[
            ("/deviceList/0/deadline", json!("2030-01-01 00:00:00")),
            ("/deviceList/0/deliverTime", json!("2020-01-05 00:00:00")),
        ],
    ));
    cases.push(shows(
        "times in answers of 3.0",
        V3,
        first(),
        &[
            ("/DeviceInfoSet/0/Deadline", json!("2030-01-01 00:00:00")),
            ("/DeviceInfoSet/0/DeliverTime", json!("2020-01-05 00:00:00")),
        ],
    ));
    Section { title: "times", cases, stories: Vec::new() }
}
