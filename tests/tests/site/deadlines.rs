//! A task ends by its deadline although its machine stands still.

use std::time::{Duration, Instant};

use opencpm_tests::{Scheme, Site};
use rustix::process::Signal;

use crate::truth::Said;

#[test]
fn a_task_ends_by_its_deadline_while_its_machine_stands_still() {
    stand_still(|_| {});
}

#[test]
fn a_task_ends_by_its_deadline_also_when_the_server_was_killed_meanwhile() {
    stand_still(|site| site.service.process.kill());
}

fn stand_still(meanwhile: impl FnOnce(&mut Site)) {
    let mut site = Site::start(&[Scheme::Sha512]);
    site.machines[0].agent.signal(Signal::STOP);
    let task = site.accepted("Standing!1");
    let accepted = Instant::now();
    // A frame may have left, so that nobody can say that the password was not set.
    site.eventually("a delivery", Duration::from_secs(5), |site| {
        let attempts = site.database().text("SELECT CAST(max(attempts) AS TEXT) FROM job");
        (attempts != "0").then_some(())
    });
    meanwhile(&mut site);
    let data = site.ended(task, accepted);
    assert!(accepted.elapsed() + Duration::from_secs(1) > Site::DEADLINE, "{data}");
    assert_eq!(Said::of(&site, &data, 0), Said::Unknown("outcome_unknown".to_owned()));

    site.machines[0].agent.signal(Signal::CONT);
    let said = site.eventually("the late report", Duration::from_secs(40), |site| {
        let said = Said::of(site, &site.task(task).ok()?, 0);
        (!matches!(said, Said::Unknown(_))).then_some(said)
    });
    assert!(said.is_true(site.machines[0].has("Standing!1")), "{said:?}");
}
