//! Tasks that are older than they are to be kept are forgotten while the service serves.

use std::time::{Duration, Instant};

use opencpm_tests::{Scheme, Site};

#[test]
fn a_task_of_half_a_year_ago_is_forgotten_and_its_machine_is_reset_as_before() {
    let mut site = Site::start(&[Scheme::Sha512]);
    let [old, newer] = ["Forgotten!1", "Kept!now1"].map(|password| {
        let task = site.accepted(password);
        assert_eq!(site.ended(task, Instant::now())["status"], 1);
        task
    });
    let database = site.database();
    let age = |what: &str, key: &str| {
        let half_a_year = 181_i64 * 86_400 * 1_000_000;
        database.execute(&format!(
            "UPDATE {what} SET created = created - {half_a_year} WHERE {key} = {old}"
        ));
    };
    age("task", "id");
    age("job", "task");
    // Each start looks once, and then every ten minutes.
    site.service.process.kill();
    site.eventually("the old task is gone", Duration::from_secs(60), |site| {
        let asked = [("taskId", &*old.to_string())];
        let answer = site.client.try_call("DescriptionOperationResult", &asked).ok()?;
        (answer["code"] != 0 && database.text("SELECT count(*) || '' FROM task") == "1")
            .then_some(())
    });
    let task = site.accepted("After!all1");
    assert!(task > newer);
    assert_eq!(site.ended(task, Instant::now())["status"], 1);
    assert!(site.machines[0].has("After!all1"));
    let log = site.log(&site.machines[0]).expect("a log");
    assert_eq!(log.iter().map(|(task, _)| *task).collect::<Vec<_>>(), [task, newer]);
}
