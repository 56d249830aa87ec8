//! A simulated device and the gateway's side of the real conversation.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]
#![expect(unreachable_pub, reason = "shared by the modules of this program")]

mod gateway;

use std::time::Duration;

use opencpm_domain::{Generation, Reason, Sequence, Span};
use opencpm_fleet::{Fault, FleetError};
use opencpm_protocol::conversation::{Recognised, ServerEvent, ServerStep};
use opencpm_protocol::key::AuthorityKey;
use opencpm_protocol::message::Farewell;
use tokio::time::Instant;

use gateway::{Gateway, NOW, authority, instance};

#[tokio::test]
async fn a_device_enrols_connects_opens_its_job_and_signs_that_it_did() {
    let (gateway, mut line) = Gateway::live(None).await;
    let job = gateway.job(1);
    line.deliver(&job).await;

    let report = line.report().await.verify(&gateway.identity.unwrap()).unwrap();

    assert!(report.applied && report.job == job.job && report.sequence == job.sequence);
    let next = report.next_sealing.unwrap().verify(&gateway.identity.unwrap()).unwrap();
    assert_eq!(next.generation, Generation::FIRST.next());
    assert_ne!(next.key, gateway.sealing.unwrap().key);
    let fleet = gateway.fleet.await.unwrap().unwrap();
    assert_eq!(fleet.instances, [instance()]);
    fleet.stop().await.unwrap();
}

#[tokio::test]
async fn the_next_job_is_opened_with_the_key_that_the_last_report_brought() {
    let (mut gateway, mut line) = Gateway::live(None).await;
    let report = line.answer(&gateway.job(1)).await;
    gateway.sealing = report.next_sealing.unwrap().verify(&gateway.identity.unwrap()).ok();
    assert!(line.answer(&gateway.job(2)).await.applied);
}

#[tokio::test]
async fn a_job_that_comes_again_is_answered_from_memory() {
    let (gateway, mut line) = Gateway::live(None).await;
    let job = gateway.job(1);
    line.deliver(&job).await;
    let first = line.report().await;
    line.tell(ServerEvent::ReportsKept(vec![job.job])).await;
    line.deliver(&job).await;
    assert_eq!(line.report().await, first);
}

#[tokio::test]
async fn a_job_is_refused_for_the_reasons_of_an_agent() {
    let (gateway, mut line) = Gateway::live(None).await;
    assert!(line.answer(&gateway.job(5)).await.applied);
    let stranger = AuthorityKey::from_bytes(&[9; 32]).unwrap();
    let past = NOW - Span::from_secs(1);
    let mut changed = gateway.job(7);
    changed.not_after = NOW + Span::from_secs(90);
    let jobs = [
        (gateway.job(4), Reason::StaleSequence),
        (gateway.sealed(6, |_| {}, &stranger), Reason::AuthorityUnknown),
        (changed, Reason::SealInvalid),
        (gateway.sealed(8, |job| job.not_after = past, &authority()), Reason::Expired),
    ];
    for (job, reason) in jobs {
        let report = line.answer(&job).await;
        assert_eq!(report.reason, Some(reason.number()), "{reason}");
        assert!(report.next_sealing.is_none());
    }
}

#[tokio::test]
async fn a_device_that_fails_says_the_reason_that_was_asked_for() {
    let (gateway, mut line) = Gateway::live(Some(Fault::Fails(Reason::DiskFull))).await;
    let report = line.answer(&gateway.job(1)).await;
    assert!(!report.applied);
    assert_eq!(report.reason, Some(Reason::DiskFull.number()));
}

#[tokio::test]
async fn a_silent_device_stays_connected_and_never_answers() {
    let (mut gateway, mut line) = Gateway::live(Some(Fault::Silent)).await;
    line.deliver(&gateway.job(1)).await;
    assert!(line.is_silent().await);
    drop(line);
    let mut line = gateway.welcome().await;
    line.deliver(&gateway.job(1)).await;
    assert!(line.is_silent().await);
}

#[tokio::test(start_paused = true)]
async fn a_late_device_answers_after_its_time_and_not_when_it_is_asked_again() {
    let (gateway, mut line) = Gateway::live(Some(Fault::Late(Duration::from_secs(40)))).await;
    let start = Instant::now();
    line.deliver(&gateway.job(1)).await;
    line.deliver(&gateway.job(1)).await;
    assert!(line.is_silent().await);
    assert!(line.report().await.read_unverified().unwrap().applied);
    assert_eq!(start.elapsed().as_secs(), 40);
    assert!(line.is_silent().await, "it says it once");
}

#[tokio::test]
async fn a_device_that_breaks_off_comes_back_and_says_what_it_did() {
    let (mut gateway, mut line) = Gateway::live(Some(Fault::Breaks)).await;
    let job = gateway.job(1);
    line.deliver(&job).await;
    assert!(line.next().await.is_none());
    drop(line);
    let mut line = gateway.welcome().await;
    let report = line.report().await.read_unverified().unwrap();
    assert!(report.applied && report.job == job.job);
    assert_eq!(gateway.sealing.unwrap().generation, Generation::FIRST.next());
}

#[tokio::test]
async fn a_device_that_vanishes_never_comes_back() {
    let (mut gateway, mut line) = Gateway::live(Some(Fault::Vanishes)).await;
    line.deliver(&gateway.job(1)).await;
    assert!(line.next().await.is_none());
    drop(line);
    assert!(gateway.dialled().await.is_none());
}

#[tokio::test]
async fn a_device_that_lost_its_connection_connects_again_and_reports_its_highest_sequence() {
    let (mut gateway, mut line) = Gateway::live(None).await;
    line.answer(&gateway.job(9)).await;
    drop(line);
    let mut line = gateway.dialled().await.unwrap();
    line.next().await;
    let identity = gateway.identity.take().unwrap();
    let known = Recognised { identity, generation: Generation::FIRST };
    let Some(ServerStep::Bind(hello)) = line.tell(ServerEvent::Recognised(known)).await else {
        panic!("no hello")
    };
    assert_eq!(hello.highest_sequence, Sequence::new(9));
}

#[tokio::test]
async fn a_device_that_is_asked_to_move_serves_here_until_it_is_welcome_elsewhere() {
    let (mut gateway, mut here) = Gateway::live(None).await;
    here.tell(ServerEvent::Move).await;
    assert!(here.is_silent().await);
    drop(gateway.dialled().await.unwrap());
    assert!(here.answer(&gateway.job(1)).await.applied, "the first that was asked refused");
    let mut there = gateway.welcome().await;
    assert_eq!(there.report().await.read_unverified().unwrap().job, gateway.job(1).job);
    assert!(here.left().await);
}

#[tokio::test]
async fn a_fleet_whose_token_is_refused_says_so() {
    let mut gateway = Gateway::with(None);
    let mut line = gateway.dialled().await.unwrap();
    line.next().await;
    line.tell(ServerEvent::Dismiss(Farewell::TokenRefused)).await;
    assert!(line.next().await.is_none());
    drop(line);
    let refused = gateway.fleet.await.unwrap();
    assert!(matches!(refused, Err(FleetError::Refused(0))));
}
