//! Whoever can write the database may hide a success, but can neither invent one nor have a
//! machine act; and what was changed is named.

use opencpm_domain::{Advice, Condition, JobState, Reason, Span, TaskId, Timestamp};
use opencpm_operations::authenticate::known_key;
use opencpm_operations::connect::{ConnectRefusal, recognise};
use opencpm_operations::deliver::deliver;
use opencpm_operations::operation_log::{LogRequest, operation_log};
use opencpm_operations::operation_result::verify_task;
use opencpm_operations::port::Deliverable;
use opencpm_operations::report_proof::ProofError;

use crate::machine::Machine;
use crate::world::{GATEWAY, World};

/// A machine with a task that succeeded.
async fn success(world: &World) -> (Machine, TaskId) {
    let [machine] = world.machines().await;
    let task = world.reset(&[&machine.instance]).await.unwrap();
    machine.obey(world, &[Advice::LockLifted]).await;
    assert_eq!(world.result(task).await.status.number(), 1);
    (machine, task)
}

async fn assert_unproven(world: &World, task: TaskId, error: ProofError) {
    let jobs = world.result(task).await.jobs;
    let unproven = |state: &JobState| {
        matches!(state, JobState::Failed { reason: Reason::ReportUnverified, .. })
    };
    assert!(jobs.iter().all(|job| unproven(&job.state)), "{jobs:?}");
    let verification = verify_task(&world.api, &world.caller, task).await.unwrap();
    assert_eq!(verification.successes, [(jobs[0].instance.clone(), Err(error))]);
}

#[tokio::test]
async fn a_proven_success_verifies_again() {
    let world = World::new().await;
    let (machine, task) = success(&world).await;
    let verification = verify_task(&world.api, &world.caller, task).await.unwrap();
    assert_eq!(verification.successes, [(machine.instance, Ok(()))]);
}

#[tokio::test]
async fn a_success_without_a_report_is_none() {
    let world = World::new().await;
    let [machine] = world.machines().await;
    let task = world.reset(&[&machine.instance]).await.unwrap();
    world
        .forge("UPDATE job SET status = 1, attempts = 1, ended = 1, applied = 1, advice = '[]'")
        .await;
    assert_unproven(&world, task, ProofError::Missing).await;
}

#[tokio::test]
async fn a_machines_failure_cannot_be_turned_into_a_success() {
    let world = World::new().await;
    let [machine] = world.machines().await;
    let task = world.reset(&[&machine.instance]).await.unwrap();
    let frame = world.job_for(&machine).await;
    let report = machine.failure(&frame, Reason::DiskFull);
    machine.report(&world, &report).await;
    world.forge("UPDATE job SET status = 1, reason = NULL, applied = 1800000001000000").await;
    assert_unproven(&world, task, ProofError::Other).await;
}

#[tokio::test]
async fn a_report_that_another_key_signed_proves_nothing() {
    let world = World::new().await;
    let (mut machine, task) = success(&world).await;
    machine.identity = Machine::new().identity;
    let (_, jobs) = world.api.store.task(task).await.unwrap().unwrap();
    let kept = jobs[0].report.as_deref().unwrap();
    let claim =
        opencpm_protocol::sign::Signed::<opencpm_protocol::report::Report>::from_bytes(kept);
    let claim = claim.unwrap().read_unverified().unwrap();
    let forged = opencpm_protocol::sign::Signed::sign(&claim, &machine.identity).to_bytes();
    let update = sqlx::query("UPDATE job SET report = ?1").bind(forged);
    update.execute(&world.intruder).await.unwrap();
    assert_unproven(&world, task, ProofError::Signature).await;
    world.forge("UPDATE job SET report = x'00'").await;
    assert_unproven(&world, task, ProofError::Unreadable).await;
}

#[tokio::test]
async fn an_identity_key_that_was_swapped_proves_nothing() {
    let world = World::new().await;
    let (_, task) = success(&world).await;
    world.forge("UPDATE device_key SET key = randomblob(32)").await;
    // What was checked before is remembered; another process, or a check anew, sees it.
    let verification = verify_task(&world.api, &world.caller, task).await.unwrap();
    assert_eq!(verification.successes[0].1, Err(ProofError::Key));
}

#[tokio::test]
async fn an_old_success_cannot_be_moved_under_another_task() {
    let world = World::new().await;
    let (machine, _) = success(&world).await;
    let [other] = world.machines().await;
    let task = world.reset(&[&other.instance]).await.unwrap();
    world.forge("DELETE FROM sealed").await;
    world.forge("DELETE FROM job WHERE status = 4").await;
    world.forge("UPDATE job SET task = (SELECT max(id) FROM task)").await;
    assert_unproven(&world, task, ProofError::Row).await;
    drop(machine);
}

/// The key of a machine that was enrolled again is worth nothing for later jobs.
#[tokio::test]
async fn a_replaced_identity_key_proves_nothing_for_jobs_after_it() {
    let world = World::new().await;
    let [stolen] = world.machines().await;
    let token = world.token_for(world.caller.app_id, Some(&stolen.instance), 1).await.unwrap();
    let mut new = Machine::new();
    new.enrol(&world, &token).await.unwrap();
    new.connect(&world.gateway, GATEWAY).await;
    let task = world.reset(&[&new.instance]).await.unwrap();
    let frame = world.job_for(&new).await;
    world.forge("UPDATE job SET identity_generation = 1").await;
    stolen.report(&world, &stolen.success(&frame, &[])).await;
    assert_unproven(&world, task, ProofError::Row).await;
}

#[tokio::test]
async fn a_failed_device_cannot_be_taken_out_of_its_task() {
    let world = World::new().await;
    let task = half_done(&world).await;
    assert_eq!(world.result(task).await.status.number(), 3);
    world.forge("DELETE FROM job WHERE status = 2").await;
    assert_unproven(&world, task, ProofError::Incomplete).await;
    world.forge("UPDATE job SET devices = 1").await;
    assert_unproven(&world, task, ProofError::Row).await;
    world.forge("DELETE FROM job").await;
    let refused = verify_task(&world.api, &world.caller, task).await.unwrap_err();
    assert_eq!(refused.condition, Condition::StoreUnavailable);
}

/// A task that one machine did and the other did not.
async fn half_done(world: &World) -> TaskId {
    let [good, bad] = world.machines().await;
    let task = world.reset(&[&good.instance, &bad.instance]).await.unwrap();
    good.obey(world, &[]).await;
    let frame = world.job_for(&bad).await;
    bad.report(world, &bad.failure(&frame, Reason::DiskFull)).await;
    task
}

/// Whoever writes the database can take its constraints away, too.
#[tokio::test]
async fn a_success_told_twice_does_not_stand_for_a_failure() {
    let world = World::new().await;
    let task = half_done(&world).await;
    let mut intruder = world.intruder.acquire().await.unwrap();
    for change in [
        "CREATE TABLE loose AS SELECT * FROM job WHERE status = 1",
        "INSERT INTO loose SELECT * FROM loose",
        "ALTER TABLE job RENAME TO former",
        "ALTER TABLE loose RENAME TO job",
    ] {
        sqlx::query(change).execute(&mut *intruder).await.unwrap();
    }
    let result = world.result(task).await;
    assert_eq!((result.jobs.len(), result.status.number()), (2, 2));
    let verification = verify_task(&world.api, &world.caller, task).await.unwrap();
    let verdicts: Vec<_> = verification.successes.into_iter().map(|(_, verdict)| verdict).collect();
    assert_eq!(verdicts, [Err(ProofError::Incomplete), Err(ProofError::Incomplete)]);
}

#[tokio::test]
async fn advice_on_a_success_can_be_neither_hidden_nor_invented() {
    let world = World::new().await;
    let (machine, task) = success(&world).await;
    for forgery in [
        "UPDATE job SET advice = '[]'",
        "UPDATE job SET advice = '[20, 60]'",
        "UPDATE job SET advice = NULL",
    ] {
        world.forge(forgery).await;
        let states = [world.job(task).await.state, logged(&world, &machine).await];
        for state in states {
            let JobState::Succeeded { advice, .. } = state else { panic!("{state:?}") };
            assert_eq!(advice, [Advice::LockLifted], "{forgery}");
        }
    }
}

/// The one line of the device's log.
async fn logged(world: &World, machine: &Machine) -> JobState {
    let request = LogRequest {
        instance: machine.instance.clone(),
        from: Timestamp::from_secs(0),
        before: Timestamp::from_secs(2_000_000_000),
        offset: 0,
        limit: 10,
    };
    let mut page = operation_log(&world.api, &world.caller, request).await.unwrap();
    assert_eq!(page.items.len(), 1);
    page.items.remove(0).job.state
}

#[tokio::test]
async fn a_device_whose_row_was_changed_is_refused_and_the_refusal_says_so() {
    for forgery in [
        "UPDATE device SET account = 1 WHERE account = 2",
        "UPDATE device SET identity_key = randomblob(32)",
        "UPDATE device SET identity_generation = 2",
        "UPDATE device SET signature = (SELECT signature FROM device_key)",
    ] {
        let world = World::new().await;
        let [machine] = world.machines().await;
        let foreign = forgery.contains("account");
        if foreign {
            let other = world.other_caller().await;
            let token = world.token_for(other.app_id, None, 1).await.unwrap();
            let mut machine = Machine::new();
            machine.enrol(&world, &token).await.unwrap();
            machine.connect(&world.gateway, GATEWAY).await;
            world.forge(forgery).await;
            let refused = world.reset(&[&machine.instance]).await.unwrap_err();
            assert!(refused.message.contains("not authentic"), "{refused}");
            continue;
        }
        world.forge(forgery).await;
        let refused = world.reset(&[&machine.instance]).await.unwrap_err();
        assert_eq!(refused.condition, Condition::NotFound);
        assert!(refused.message.contains("not authentic"), "{forgery}: {refused}");
        let let_in = recognise(&world.gateway, vec![machine.instance.clone()]).await.unwrap();
        assert!(matches!(let_in[..], [(_, Err(ConnectRefusal::NotAuthentic(_)))]), "{forgery}");
    }
}

#[tokio::test]
async fn a_sealing_key_that_the_machine_did_not_certify_gets_no_password() {
    let world = World::new().await;
    let [machine] = world.machines().await;
    let thief = Machine::new();
    let update = sqlx::query("UPDATE device SET sealing_certificate = ?1");
    let update = update.bind(thief.certificate(1).to_bytes());
    update.execute(&world.intruder).await.unwrap();
    let refused = world.reset(&[&machine.instance]).await.unwrap_err();
    assert_eq!(refused.condition, Condition::AgentNotAlive);
    assert!(refused.message.contains("sealing key"), "{refused}");
}

#[tokio::test]
async fn an_api_key_that_was_changed_is_refused_and_says_so() {
    for forgery in [
        "UPDATE api_key SET app_id = 2",
        "UPDATE api_key SET admin = 0",
        "UPDATE api_key SET disabled = 1",
        "UPDATE api_key SET encrypted_secret = x'00'",
        "UPDATE api_key SET uin = '2'",
    ] {
        let world = World::new().await;
        world.other_caller().await;
        world.forge(forgery).await;
        let refused = known_key(&world.api, &world.caller.secret_id).await.unwrap_err();
        assert_eq!(refused.condition, Condition::SecretIdUnknown);
        assert!(refused.message.contains("not authentic"), "{forgery}: {refused}");
    }
}

/// One row that cannot be read is one device's trouble.
#[tokio::test]
async fn a_job_whose_row_was_damaged_does_not_hold_up_the_others() {
    let world = World::new().await;
    let [damaged, whole] = world.machines().await;
    let task = world.reset(&[&damaged.instance, &whole.instance]).await.unwrap();
    world.forge("DELETE FROM sealed WHERE job = 1").await;
    let which = Deliverable::NotAttemptedFor(Span::from_secs(20));
    let deliveries = deliver(&world.gateway, GATEWAY, which).await.unwrap();
    assert_eq!(deliveries.len(), 1);
    assert_eq!(deliveries[0].instance, whole.instance);
    assert_eq!(world.result(task).await.status.number(), 4);
}
