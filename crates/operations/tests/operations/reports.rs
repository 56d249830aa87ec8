//! What becomes of a job when the machine reports, and when it does not.

use opencpm_domain::{Advice, JobState, Reason};
use opencpm_operations::port::StoreError;
use opencpm_operations::record_reports::{Delivered, record_reports};
use opencpm_operations::record_sealing_keys::{NewSealingKey, record_sealing_keys};
use opencpm_operations::row::JobRow;
use opencpm_operations::sweep::end_overdue_jobs;
use opencpm_protocol::sign::Signed;

use crate::machine::Machine;
use crate::world::{GATEWAY, World};

fn reason(job: &JobRow) -> Option<Reason> {
    match job.state {
        JobState::Failed { reason, .. } => Some(reason),
        _ => None,
    }
}

fn advice(job: &JobRow) -> &[Advice] {
    match &job.state {
        JobState::Succeeded { advice, .. } => advice,
        other => panic!("{other:?}"),
    }
}

async fn end_overdue(world: &World) -> usize {
    end_overdue_jobs(&*world.api.store).await.unwrap()
}

#[tokio::test]
async fn a_success_is_told_with_its_advice_and_frees_the_device() {
    let world = World::new().await;
    let [machine] = world.machines().await;
    let task = world.reset(&[&machine.instance]).await.unwrap();
    let frame = machine.obey(&world, &[Advice::LockLifted]).await;
    assert_eq!(advice(&world.job(task).await), [Advice::LockLifted]);
    world.reset(&[&machine.instance]).await.unwrap();
    // It did not hear that its report was kept, and sends it again.
    assert!(machine.report(&world, &machine.success(&frame, &[Advice::LockLifted])).await);
    assert_eq!(advice(&world.job(task).await), [Advice::LockLifted]);
}

#[tokio::test]
async fn a_failure_is_told_with_its_reason() {
    let world = World::new().await;
    let [machine] = world.machines().await;
    let task = world.reset(&[&machine.instance]).await.unwrap();
    let frame = world.job_for(&machine).await;
    machine.report(&world, &machine.failure(&frame, Reason::ShadowSymlink)).await;
    assert_eq!(reason(&world.job(task).await), Some(Reason::ShadowSymlink));
    // A definite end stays.
    machine.report(&world, &machine.success(&frame, &[])).await;
    assert_eq!(reason(&world.job(task).await), Some(Reason::ShadowSymlink));
}

#[tokio::test]
async fn at_the_deadline_a_job_that_never_left_is_told_from_one_that_was_sent() {
    let world = World::new().await;
    let [sent, unsent] = world.machines().await;
    let task = world.reset(&[&sent.instance, &unsent.instance]).await.unwrap();
    world.job_for(&sent).await;
    world.clock.advance(119);
    assert_eq!(end_overdue(&world).await, 0);
    world.clock.advance(1);
    assert_eq!(end_overdue(&world).await, 2);
    let result = world.result(task).await;
    assert_eq!(result.status.number(), 2);
    let reasons: Vec<_> = result.jobs.iter().map(reason).collect();
    assert_eq!(reasons, [Some(Reason::OutcomeUnknown), Some(Reason::NotDelivered)]);
}

#[tokio::test]
async fn a_late_report_corrects_a_guess() {
    let world = World::new().await;
    let [machine] = world.machines().await;
    let task = world.reset(&[&machine.instance]).await.unwrap();
    let frame = world.job_for(&machine).await;
    world.clock.advance(120);
    end_overdue(&world).await;
    assert!(machine.report(&world, &machine.success(&frame, &[])).await);
    let job = world.job(task).await;
    assert!(matches!(&job.state, JobState::Succeeded { corrected: true, advice, .. }
        if advice.is_empty()));
}

#[tokio::test]
async fn a_late_success_says_that_a_later_job_may_have_superseded_it() {
    let world = World::new().await;
    let [machine] = world.machines().await;
    let first = world.reset(&[&machine.instance]).await.unwrap();
    let frame = world.job_for(&machine).await;
    world.clock.advance(120);
    end_overdue(&world).await;
    machine.connect(&world.gateway, GATEWAY).await;
    let second = world.reset(&[&machine.instance]).await.unwrap();
    machine.obey(&world, &[]).await;
    machine.report(&world, &machine.success(&frame, &[Advice::LockLifted])).await;
    let told = [Advice::Superseded, Advice::LockLifted];
    assert_eq!(advice(&world.job(first).await), told);
    // Also when the proof is remembered.
    assert_eq!(advice(&world.job(first).await), told);
    assert_eq!(advice(&world.job(second).await), []);
}

#[tokio::test]
async fn a_late_report_that_knows_nothing_corrects_nothing() {
    let world = World::new().await;
    let [machine] = world.machines().await;
    let task = world.reset(&[&machine.instance]).await.unwrap();
    let frame = world.job_for(&machine).await;
    world.clock.advance(120);
    end_overdue(&world).await;
    assert!(machine.report(&world, &machine.failure(&frame, Reason::Overwritten)).await);
    assert_eq!(reason(&world.job(task).await), Some(Reason::OutcomeUnknown));
}

/// The server's own words are not the machine's to say.
#[tokio::test]
async fn a_machine_cannot_speak_for_the_server() {
    let world = World::new().await;
    let [failing, boasting] = world.machines().await;
    let task = world.reset(&[&failing.instance, &boasting.instance]).await.unwrap();
    let frame = world.job_for(&failing).await;
    failing.report(&world, &failing.failure(&frame, Reason::NotDelivered)).await;
    boasting.obey(&world, &[Advice::Superseded, Advice::LockLifted]).await;
    let jobs = world.result(task).await.jobs;
    assert_eq!(reason(&jobs[0]), Some(Reason::UnrecognisedReport));
    assert_eq!(advice(&jobs[1]), [Advice::LockLifted]);
}

#[tokio::test]
async fn a_report_of_a_machines_old_identity_is_checked_with_its_old_key() {
    let world = World::new().await;
    let [old] = world.machines().await;
    let task = world.reset(&[&old.instance]).await.unwrap();
    let frame = world.job_for(&old).await;
    let token = world.token_for(world.caller.app_id, Some(&old.instance), 1).await.unwrap();
    let mut new = Machine::new();
    new.enrol(&world, &token).await.unwrap();
    assert_eq!(reason(&world.job(task).await), Some(Reason::OutcomeUnknown));
    assert!(old.report(&world, &old.success(&frame, &[])).await);
    assert_eq!(world.result(task).await.status.number(), 1);
}

/// Two devices, two reports in one batch: one takes the other's job for its own.
#[tokio::test]
async fn a_report_about_another_devices_job_is_dropped_and_harms_nobody() {
    let world = World::new().await;
    let [honest, liar] = world.machines().await;
    let task = world.reset(&[&honest.instance]).await.unwrap();
    let frame = world.job_for(&honest).await;
    let from = |machine: &Machine| Delivered {
        instance: machine.instance.clone(),
        report: Signed::sign(&machine.success(&frame, &[]), &machine.identity),
    };
    let batch = vec![from(&honest), from(&liar)];
    let kept = record_reports(&world.gateway, GATEWAY, batch).await.unwrap();
    assert!(kept.contains(&(honest.instance.clone(), frame.job)));
    assert_eq!(world.result(task).await.status.number(), 1);
}

#[tokio::test]
async fn a_gateway_without_a_lease_records_nothing() {
    let world = World::new().await;
    let [machine] = world.machines().await;
    let task = world.reset(&[&machine.instance]).await.unwrap();
    let frame = world.job_for(&machine).await;
    opencpm_operations::lease::end(&world.gateway, GATEWAY).await.unwrap();
    let report = Signed::sign(&machine.success(&frame, &[]), &machine.identity);
    let delivered = Delivered { instance: machine.instance.clone(), report };
    let refused = record_reports(&world.gateway, GATEWAY, vec![delivered]).await;
    assert!(matches!(refused, Err(StoreError::LeaseEnded)));
    let key = NewSealingKey {
        instance: machine.instance.clone(),
        identity_generation: machine.generation,
        certificate: machine.certificate(2),
    };
    let refused = record_sealing_keys(&world.gateway, GATEWAY, vec![key]).await;
    assert!(matches!(refused, Err(StoreError::LeaseEnded)));
    assert_eq!(world.result(task).await.status.number(), 4);
}
