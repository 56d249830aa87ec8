//! Bounds of each parameter, in each dialect (contract section 3, 4).

use opencpm_domain::Condition::*;

use super::Section;
use crate::ask::{ALL, BOTH, V2, V3, agents, devices, log, reset, result};
use crate::case::{done, refused};

pub(super) fn section() -> Section {
    let limit = |n: &str| devices().with("limit", n);
    let log_limit = |n: &str| log().with("limit", n);
    let mut cases = vec![
        done("1 device", ALL, limit("1")),
        done("100 devices", ALL, limit("100")),
        done("101 devices in 2.0", V2, limit("101")),
        done("1,000 devices in 2.0", V2, limit("1000")),
        refused("101 devices in 3.0", V3, limit("101"), ParameterOutOfBounds),
        refused("1,001 devices", ALL, limit("1001"), ParameterOutOfBounds),
        refused("0 devices", ALL, limit("0"), ParameterOutOfBounds),
        done("100 entries of the log", ALL, log_limit("100")),
        refused("101 entries of the log", ALL, log_limit("101"), ParameterOutOfBounds),
        refused("0 entries of the log", ALL, log_limit("0"), ParameterOutOfBounds),
        done("1,000 agents", V2, agents().with("limit", "1000")),
        refused("1,001 agents", V2, agents().with("limit", "1001"), ParameterOutOfBounds),
        done("offset 0", ALL, devices().with("offset", "0")),
        done("the largest offset", ALL, devices().with("offset", "9007199254740991")),
        refused(
            "an offset beyond it",
            ALL,
            devices().with("offset", "9007199254740992"),
            ParameterOutOfBounds,
        ),
        refused(
            "a negative offset of the log",
            ALL,
            log().with("offset", "-1"),
            ParameterOutOfBounds,
        ),
        refused("the largest task", ALL, result().with("taskId", "9007199254740991"), NotFound),
        refused(
            "a task beyond it",
            ALL,
            result().with("taskId", "9007199254740992"),
            ParameterOutOfBounds,
        ),
        refused("task 0", ALL, result().with("taskId", "0"), ParameterOutOfBounds),
        refused("no task", ALL, result().without("taskId"), ParameterMissing),
        refused("no device of the log", ALL, log().without("instanceId"), ParameterMissing),
        refused("no device of a reset", ALL, reset().without("instanceIds.0"), ParameterMissing),
        refused("no password", ALL, reset().without("passwd"), ParameterMissing),
        refused(
            "neither device nor password",
            ALL,
            reset().without("passwd").without("instanceIds.0"),
            ParameterMissing,
        ),
        done("an id of 64 characters", ALL, devices().with("instanceIds.0", &"x".repeat(64))),
        refused(
            "an id of 65 characters",
            ALL,
            devices().with("instanceIds.0", &"x".repeat(65)),
            ParameterInvalid,
        ),
        done("an id of all its characters", ALL, devices().with("instanceIds.0", "aZ09_-")),
        done("an alias of 255 characters", ALL, devices().with("alias", &"é".repeat(255))),
        refused(
            "an alias of 256 characters",
            ALL,
            devices().with("alias", &"é".repeat(256)),
            ParameterOutOfBounds,
        ),
        refused(
            "an address of 65 characters",
            ALL,
            devices().with("lanIps.0", &"1".repeat(65)),
            ParameterOutOfBounds,
        ),
        done("opUin of qcloudcli", V2, reset().with("opUin", "909619400")),
        refused(
            "OpUin is no name of 3.0",
            V3,
            reset().with("opUin", "909619400"),
            ParameterUnknown,
        ),
        refused(
            "an index on the task",
            V2,
            result().without("taskId").with("taskId.0", "1"),
            ParameterMissing,
        ),
    ];
    for id in ["cpm 1", "cpm.1", "cpm/1", "cpm-é", "cpm-1\n", "*", "cpm-1,cpm-2"] {
        let ask = reset().with("instanceIds.0", id);
        cases.push(refused(format!("id {id:?}"), BOTH, ask, ParameterInvalid));
    }
    for (name, value) in [
        ("autoRenewFlag", "2"),
        ("order", "2"),
        ("order", "-1"),
        ("orderField", "colour"),
        ("orderField", "ALIAS"),
    ] {
        let ask = devices().with(name, value);
        cases.push(refused(format!("{name} {value}"), ALL, ask, ParameterOutOfBounds));
    }
    for (name, value) in [("status", "0"), ("status", "15"), ("status.0", "99")] {
        let ask = devices().with(name, value);
        cases.push(refused(format!("{name} {value}"), V2, ask, ParameterOutOfBounds));
    }
    Section { title: "bounds", cases, stories: Vec::new() }
}
