//! What keeps a reset away, and that one bad device keeps it from all (contract 4.1, 5, 7.1).

use opencpm_domain::Condition::{self, *};

use super::Section;
use crate::ask::{ALL, Ask, BOTH, JSON, V2, Way, devices, reset};
use crate::case::{Case, Expected, Failure, Story, done, ensure, refused};
use crate::target::Target;

/// Rest in a state that is not 1, running (contract 7.3).
const AT_REST: &[u8] = &[3, 4, 6, 8, 10, 21, 23, 24];
/// Another operation is under way; 11 is an open task.
const IN_PROGRESS: &[u8] = &[2, 5, 7, 9, 12, 13, 14, 15, 19, 20];

pub(super) fn section() -> Section {
    let of = |name: &str| reset().with("instanceIds.0", &format!("<{name}>"));
    let mut cases = vec![
        done("one device", ALL, reset()),
        done("two devices", BOTH, reset().with("instanceIds.1", "<alive2>")),
        refused("an agent that is not connected", ALL, of("offline"), AgentNotAlive)
            .says("<offline>"),
        refused("an agent that never enrolled", ALL, of("never"), AgentNotAlive).says("<never>"),
        refused(
            "a device that is not there",
            ALL,
            reset().with("instanceIds.0", "cpm-nobody"),
            NotFound,
        )
        .says("cpm-nobody"),
        refused("another account's device", ALL, of("foreign"), NotFound).says("<foreign>"),
        refused("a device twice", ALL, reset().with("instanceIds.1", "<alive>"), ParameterInvalid),
        refused(
            "a device twice, far apart",
            ALL,
            reset().with("instanceIds.1", "cpm-x").with("instanceIds.700", "<alive>"),
            ParameterInvalid,
        ),
        refused(
            "an empty list",
            JSON,
            reset().json(r#"{"InstanceIds":[],"Password":"abce1234"}"#),
            ParameterOutOfBounds,
        ),
        refused("100,001 devices in 2.0", &[Way::V2Post], many(100_001), ParameterOutOfBounds),
        refused("100,001 devices in 3.0", JSON, many(100_001), ParameterOutOfBounds),
        refused("100,000 devices that are not there", BOTH, many(100_000), NotFound),
    ];
    for number in [1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16] {
        let name = format!("device-status-{number}");
        cases.push(refused(&name, BOTH, of(&name), DeviceStateWrong));
    }
    for (numbers, condition) in [(AT_REST, DeviceStateWrong), (IN_PROGRESS, DeviceBusy)] {
        for number in numbers {
            let name = format!("operate-status-{number}");
            cases.push(refused(&name, BOTH, of(&name), condition));
        }
    }
    cases.extend(several_bad());
    let stories = vec![
        Story {
            name: "2.0: a good device beside a bad one stays as it was",
            run: |t| all_or_nothing(t, Way::V2Post),
        },
        Story {
            name: "3.0: a good device beside a bad one stays as it was",
            run: |t| all_or_nothing(t, Way::Tc3Post),
        },
        Story {
            name: "2.0: unknown and foreign devices are not told apart",
            run: |t| alike(t, Way::V2Get),
        },
        Story {
            name: "3.0: unknown and foreign devices are not told apart",
            run: |t| alike(t, Way::Tc3Get),
        },
    ];
    Section { title: "reset", cases, stories }
}

fn many(count: usize) -> Ask {
    let mut ask = reset().without("instanceIds.0");
    ask.fields.extend((0..count).map(|n| (format!("instanceIds.{n}"), format!("x{n}"))));
    ask
}

/// One code answers: the first that applies of 10001, 12002, 12006. The message names all.
fn several_bad() -> Vec<Case> {
    let batches: &[(&str, Condition, &[&'static str])] = &[
        ("state and agent", DeviceStateWrong, &["<offline>", "<device-status-14>"]),
        (
            "agent and state, the other way round",
            DeviceStateWrong,
            &["<device-status-14>", "<never>"],
        ),
        ("busy and agent", DeviceBusy, &["<never>", "<operate-status-7>"]),
        ("unknown and state", NotFound, &["<operate-status-3>", "cpm-nobody"]),
        ("foreign and agent", NotFound, &["<offline>", "<foreign>"]),
        (
            "unknown, foreign, state, busy and agent",
            NotFound,
            &["<never>", "<operate-status-2>", "<device-status-5>", "<foreign>", "cpm-nobody"],
        ),
        ("two agents", AgentNotAlive, &["<never>", "<offline>"]),
        ("two states", DeviceStateWrong, &["<device-status-1>", "<operate-status-24>"]),
    ];
    let case = |(what, condition, ids): &(&str, Condition, &[&'static str])| {
        let ask = ids
            .iter()
            .enumerate()
            .fold(reset().with("instanceIds.9", "<alive>"), |ask, (n, id)| {
                ask.with(&format!("instanceIds.{n}"), id)
            });
        let case = refused(*what, ALL, ask, *condition).hides("<alive>");
        ids.iter().fold(case, |case, id| case.says(id))
    };
    let bad_form = reset().with("instanceIds.1", "cpm 1").with("instanceIds.2", "<never>");
    let mut cases: Vec<_> = batches.iter().map(case).collect();
    cases.push(refused("a bad id comes before every device", V2, bad_form, ParameterInvalid));
    cases
}

fn all_or_nothing(target: &Target, way: Way) -> Result<(), Failure> {
    let ask = reset().with("instanceIds.1", "<never>");
    target.refused(&ask, way, AgentNotAlive)?;
    let device = devices().with("instanceIds.0", &target.filled("<alive>")?);
    let list = target.expect(&device, Way::V2Post, &Expected::Done(Vec::new()))?;
    let status = list["deviceList"][0]["operateStatus"].clone();
    Ok(ensure(status == "1", || format!("operateStatus is {status}"))?)
}

fn alike(target: &Target, way: Way) -> Result<(), Failure> {
    let text = |id: &str| {
        let reply = target.answer(&reset().with("instanceIds.0", id), way)?;
        let body = reply.body.replace(&target.filled(id)?, "ID");
        let end = body.find("RequestId").unwrap_or(body.len());
        Ok::<_, Failure>(body[..end].to_owned())
    };
    let (foreign, unknown) = (text("<foreign>")?, text("cpm-nobody")?);
    Ok(ensure(foreign == unknown, || format!("{foreign} and {unknown}"))?)
}
