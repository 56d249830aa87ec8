//! With write access to the database, nobody makes an agent set a password, reads the next one,
//! or invents a success. Each attempt is refused, and the answer says why.

use std::time::Duration;

use opencpm_tests::{Client, Database, Device, Lab, eventually, root_hash, verifies};
use rustix::process::{Signal, kill_process};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(50);
const PASSWORD: &str = "G3nuine!pass";

struct Attack {
    lab: Lab,
    database: Database,
    client: Client,
}

impl Attack {
    fn on_lab_with(agents: usize) -> Self {
        let lab = Lab::start(agents);
        Self { database: lab.database(), client: lab.client(), lab }
    }

    fn device(&self, index: usize) -> &Device {
        &self.lab.ready.devices[index]
    }

    fn id(&self, index: usize) -> &str {
        &self.device(index).instance_id
    }

    /// Makes the agent stand still, so that its next job stays open and its seal in the store.
    fn freeze(&self, index: usize) -> rustix::process::Pid {
        let agent = self.lab.agent_of(self.device(index));
        kill_process(agent, Signal::STOP).expect("the agent runs");
        agent
    }

    /// Puts a job for `to` into the store that is a copy of the open job of `from`, with some
    /// columns changed, and waits for what its machine says.
    fn copy_job(&self, from: &str, to: &str, changes: &[(&str, &str)]) -> Value {
        let of = |column: &str| {
            let change = changes.iter().find(|(name, _)| *name == column);
            change.map_or(column.to_owned(), |(_, value)| (*value).to_owned())
        };
        let task = self.database.text("SELECT CAST(MAX(id) + 1000 AS TEXT) FROM task");
        self.database.execute(&format!(
            "BEGIN IMMEDIATE;
             INSERT INTO task (id, account, action, uin, created, deadline)
               SELECT {task}, account, action, uin, created, deadline FROM task
               WHERE id =
                 (SELECT task FROM job WHERE instance = '{from}' ORDER BY number DESC LIMIT 1);
             INSERT INTO job (id, task, position, devices, instance, account, created, sequence,
                 identity_generation, sealing_generation, verb, issued_at, not_after, deadline,
                 authority, mac, status, attempts, corrected, version)
               SELECT {id}, {task}, 0, 1, '{to}', account, created, {sequence},
                 identity_generation, {sealing_generation}, verb, issued_at, {not_after}, deadline,
                 {authority}, mac, 4, 0, 0, 1
               FROM job WHERE instance = '{from}' ORDER BY number DESC LIMIT 1;
             INSERT INTO sealed SELECT (SELECT MAX(number) FROM job), enc, {ciphertext}
               FROM sealed WHERE job = (SELECT number FROM job WHERE instance = '{from}'
                 AND status = 4 ORDER BY number DESC LIMIT 1);
             COMMIT;",
            id = of("id"),
            sequence = of("sequence"),
            sealing_generation = of("sealing_generation"),
            not_after = of("not_after"),
            authority = of("authority"),
            ciphertext = of("ciphertext"),
        ));
        let task = task.parse().expect("a number");
        self.client.wait(task, LIMIT)
    }

    /// The refusal of a reset of this device.
    fn refused(&self, index: usize) -> Value {
        self.client.reset(&[self.id(index)], PASSWORD).expect_err("refused")
    }
}

fn reason(data: &Value) -> &str {
    assert_eq!(data["status"], 2, "{data}");
    data["instanceIds"][0]["reason"].as_str().expect("a reason")
}

fn message(refusal: &Value) -> &str {
    refusal["message"].as_str().expect("a message")
}

#[test]
fn a_job_that_was_moved_changed_or_forged_is_refused_by_the_machine() {
    let attack = Attack::on_lab_with(2);
    let before = root_hash(&attack.device(1).root);
    let frozen = attack.freeze(0);
    let task = attack.client.reset(&[attack.id(0)], PASSWORD).expect("accepted");
    let (from, to) = (attack.id(0), attack.id(1));

    let fresh = ("id", "randomblob(16)");
    let renamed = attack.copy_job(from, to, &[fresh, ("sequence", "sequence + 1")]);
    let longer = attack.copy_job(
        from,
        to,
        &[fresh, ("sequence", "sequence + 2"), ("not_after", "not_after + 1000000")],
    );
    let forged = attack.copy_job(
        from,
        to,
        &[fresh, ("sequence", "sequence + 3"), ("ciphertext", "randomblob(80)")],
    );
    let stranger = attack.copy_job(
        from,
        to,
        &[fresh, ("sequence", "sequence + 4"), ("authority", "randomblob(8)")],
    );

    // The job itself, given to the other device: last, because it is gone from the first.
    attack.database.execute(&format!(
        "UPDATE job SET instance = '{to}', attempts = 0, last_attempt = NULL,
             sequence = sequence + 5 WHERE task = {task}"
    ));
    let moved = attack.client.wait(task, LIMIT);

    for data in [&moved, &renamed, &longer, &forged] {
        assert!(reason(data).starts_with("seal_invalid"), "{data}");
    }
    assert!(reason(&stranger).starts_with("authority_unknown"), "{stranger}");
    assert_eq!(root_hash(&attack.device(1).root), before);
    kill_process(frozen, Signal::CONT).expect("the agent runs");
}

#[test]
fn a_job_of_a_former_task_is_not_applied_again() {
    let attack = Attack::on_lab_with(1);
    let device = attack.device(0);
    let frozen = attack.freeze(0);
    let first = attack.client.reset(&[attack.id(0)], PASSWORD).expect("accepted");
    attack.database.execute("CREATE TABLE loot AS SELECT * FROM sealed");
    kill_process(frozen, Signal::CONT).expect("the agent runs");
    attack.client.wait(first, LIMIT);
    let second = attack.client.reset(&[attack.id(0)], "S3cond!pass").expect("accepted");
    attack.client.wait(second, LIMIT);

    // The first job again: open, with its old seal, under its own id.
    attack.database.execute(&format!(
        "UPDATE job SET status = 4, attempts = 1, last_attempt = 0, ended = NULL,
             applied = NULL, reason = NULL, report = NULL, deadline = deadline + 60000000 WHERE task = {first};
         INSERT INTO sealed SELECT * FROM loot;"
    ));
    // The machine answers from its record: the first outcome, and no second change.
    let data = attack.client.wait(first, LIMIT);
    assert_eq!(data["status"], 1, "{data}");
    assert!(verifies(&root_hash(&device.root), "S3cond!pass"));

    // Under a new id, above the highest sequence.
    attack.database.execute(&format!(
        "UPDATE job SET status = 4, attempts = 1, last_attempt = 0, ended = NULL,
             applied = NULL, reason = NULL, report = NULL, deadline = deadline + 60000000, id = randomblob(16),
             sequence = (SELECT MAX(sequence) + 1 FROM job) WHERE task = {first};
         INSERT INTO sealed SELECT * FROM loot;"
    ));
    let data = attack.client.wait(first, LIMIT);
    assert!(reason(&data).starts_with("seal_invalid"), "{data}");
    assert!(verifies(&root_hash(&device.root), "S3cond!pass"));
}

#[test]
fn a_job_that_was_kept_beyond_its_time_is_refused() {
    let attack = Attack::on_lab_with(1);
    let before = root_hash(&attack.device(0).root);
    let frozen = attack.freeze(0);
    let task = attack.client.reset(&[attack.id(0)], PASSWORD).expect("accepted");
    attack.database.execute("UPDATE job SET deadline = deadline + 60000000");
    eventually("the end of the job's time", LIMIT, || {
        let late = "SELECT CAST(MAX(not_after) < (unixepoch('subsec') * 1000000) AS TEXT) FROM job";
        (attack.database.text(late) == "1").then_some(())
    });
    kill_process(frozen, Signal::CONT).expect("the agent runs");
    let data = attack.client.wait(task, LIMIT);
    assert!(reason(&data).starts_with("expired"), "{data}");
    assert_eq!(root_hash(&attack.device(0).root), before);
}

#[test]
fn a_device_whose_keys_account_or_generation_were_changed_is_refused() {
    let attack = Attack::on_lab_with(2);
    let (victim, thief) = (attack.id(0), attack.id(1));
    let keep = "CREATE TABLE kept AS SELECT * FROM device";
    let restore = |columns: &str| {
        format!(
            "UPDATE device SET ({columns}) =
               (SELECT {columns} FROM kept WHERE kept.instance = device.instance)"
        )
    };
    attack.database.execute(keep);

    attack.database.execute(&format!(
        "UPDATE device SET sealing_certificate =
           (SELECT sealing_certificate FROM kept WHERE instance = '{thief}')
         WHERE instance = '{victim}'"
    ));
    let refusal = attack.refused(0);
    assert!(message(&refusal).contains("sealing key in the store is not authentic"), "{refusal}");
    attack.database.execute(&restore("sealing_certificate"));

    for change in ["identity_key = randomblob(32)", "identity_generation = 7", "quarantined = 1"] {
        attack.database.execute(&format!("UPDATE device SET {change} WHERE instance = '{victim}'"));
        let refusal = attack.refused(0);
        assert!(message(&refusal).contains("device in the store is not authentic"), "{refusal}");
        attack.database.execute(&restore("identity_key, identity_generation, quarantined"));
    }

    attack.database.execute(&format!(
        "UPDATE device SET account = (SELECT account FROM kept WHERE instance = '{}')
         WHERE instance = '{victim}'",
        attack.lab.ready.other_account.instance_id
    ));
    let refusal = attack.lab.other_client().reset(&[victim], PASSWORD).expect_err("refused");
    assert!(message(&refusal).contains("device in the store is not authentic"), "{refusal}");
    attack.database.execute(&restore("account"));

    attack.client.reset(&[victim], PASSWORD).expect("as before");
}

#[test]
fn an_api_key_that_was_given_another_account_is_refused() {
    let attack = Attack::on_lab_with(1);
    attack.database.execute(&format!(
        "UPDATE api_key SET app_id = (SELECT account FROM device WHERE instance = '{}')
         WHERE secret_id = '{}'",
        attack.lab.ready.other_account.instance_id, attack.lab.ready.secret_id
    ));
    let refusal = attack.refused(0);
    assert_eq!(refusal["code"], 4104, "{refusal}");
    assert!(message(&refusal).contains("API key in the store is not authentic"), "{refusal}");
}

#[test]
fn a_success_that_no_machine_reported_is_not_believed() {
    let attack = Attack::on_lab_with(2);
    let genuine = attack.client.reset(&[attack.id(0)], PASSWORD).expect("accepted");
    attack.client.wait(genuine, LIMIT);
    attack.freeze(1);
    let claimed = attack.client.reset(&[attack.id(1)], PASSWORD).expect("accepted");
    let success = "status = 1, applied = issued_at, ended = issued_at, reason = NULL";
    let forgeries = [
        format!("UPDATE job SET {success} WHERE task = {claimed}"),
        format!("UPDATE job SET {success}, report = randomblob(200) WHERE task = {claimed}"),
        format!(
            "UPDATE job SET {success}, report = (SELECT report FROM job WHERE task = {genuine})
             WHERE task = {claimed}"
        ),
        // The genuine success itself, moved under the other task.
        format!(
            "DELETE FROM job WHERE task = {claimed};
             UPDATE job SET task = {claimed} WHERE task = {genuine}"
        ),
    ];
    for forgery in forgeries {
        attack.database.execute(&forgery);
        let data = attack.client.task(claimed);
        assert!(reason(&data).starts_with("report_unverified"), "{data}");
    }
}
