//! Devices go from one gateway to another, whether it drains, is cut off, or dies.

#![expect(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use opencpm_domain::{Condition, JobState, JobStatus, Span};
use opencpm_fleet::{Fleet, Plan, Seed, Wire};
use opencpm_gateway::{Config, Operations};
use opencpm_operations::lease;
use opencpm_operations::operation_result::operation_result;
use opencpm_operations::port::{Clock, Deliverable, StoreError};
use opencpm_operations::row::{Connection, ResetCandidates};
use opencpm_protocol::conversation::{AgentEvent, AgentStep};
use opencpm_protocol::message::Farewell;
use support::deployment::{Deployment, Node, job, quick};
use support::soon;

/// Devices that dial the first gateway until it drains, and from then on the second.
async fn fleet(
    here: &mut Deployment,
    count: u32,
    first: &Node,
    second: &Node,
    open: &Arc<Open>,
) -> Fleet {
    let token = here.token(count).await;
    let plan = Plan { devices: count, seed: Seed::from_bytes([5; 32]), faults: Vec::new() };
    let clock = Arc::clone(&here.clock);
    let (drains, first, second) =
        (first.shutdown.clone(), first.connector.clone(), second.connector.clone());
    let open = Arc::clone(open);
    let dial = move |wire: Wire| {
        let connector = if drains.is_cancelled() { second.clone() } else { first.clone() };
        let here = Here::new(&open);
        async move {
            let _here = here;
            connector.serve_stream(wire).await;
        }
    };
    soon(Fleet::start(plan, &token, move || clock.now(), dial)).await.unwrap()
}

/// Connections of a fleet.
#[derive(Default)]
struct Open {
    now: AtomicUsize,
    fewest: AtomicUsize,
}

/// One of them, until it is dropped.
struct Here(Arc<Open>);

impl Here {
    fn new(open: &Arc<Open>) -> Self {
        open.now.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(open))
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        let left = self.0.now.fetch_sub(1, Ordering::SeqCst) - 1;
        self.0.fewest.fetch_min(left, Ordering::SeqCst);
    }
}

fn all_alive(seen: &ResetCandidates) -> bool {
    let alive = |connection| match connection {
        Connection::Bound { lease, .. } => lease.is_valid(seen.now),
        Connection::None => false,
    };
    seen.devices.iter().all(|device| alive(device.connection))
}

#[tokio::test]
async fn while_a_gateway_drains_its_fleet_moves_and_no_device_ever_counts_as_away() {
    let mut here = Deployment::start().await;
    let config = Config { hand_over: Duration::from_secs(60), ..quick() };
    let (first, second) = (here.gateway_with(lease::ALONE, config).await, here.gateway().await);
    let open = Arc::default();
    let fleet = fleet(&mut here, 60, &first, &second, &open).await;
    open.fewest.store(60, Ordering::SeqCst);
    let task = here.reset(fleet.instances.clone()).await;
    let drained = first.stop();
    tokio::pin!(drained);
    loop {
        tokio::select! {
            () = &mut drained => break,
            seen = here.api.store.reset_candidates(&fleet.instances) => {
                assert!(all_alive(&seen.unwrap()));
            }
        }
    }
    assert_eq!(second.gateway.connected(), 60);
    assert_eq!(open.fewest.load(Ordering::SeqCst), 60, "each came before it left");
    // What was under way, one way or the other, ends once.
    soon(async {
        loop {
            let result = operation_result(&here.api, &here.caller, task).await.unwrap();
            if result.status.number() == JobStatus::Succeeded.number() {
                break;
            }
        }
    })
    .await;
    let (_, jobs) = here.api.store.task(task).await.unwrap().unwrap();
    let once = |state: &JobState| matches!(state, JobState::Succeeded { corrected: false, .. });
    assert!(jobs.len() == 60 && jobs.iter().all(|job| once(&job.state)));
    fleet.stop().await.unwrap();
    second.stop().await;
}

#[tokio::test]
async fn a_device_that_finds_no_other_gateway_stays_until_the_drains_end() {
    let mut here = Deployment::start().await;
    let hand_over = Duration::from_secs(3);
    let node = here.gateway_with(lease::ALONE, Config { hand_over, ..quick() }).await;
    let device = here.enrol(&node, 1).await;
    let mut agent = here.connect(&node, &device).await;
    node.shutdown.cancel();
    let step = agent.next().await;
    assert!(matches!(step, Some(AgentStep::Move)), "{step:?}");
    // Told to move, and still served.
    let task = here.reset(vec![device.instance.clone()]).await;
    let frame = job(&mut agent).await;
    agent.say(AgentEvent::Report(Box::new(here.report(&device, &frame)))).await;
    assert_eq!(agent.kept().await, [frame.job]);
    assert_eq!(agent.farewell().await, Some(Farewell::Draining));
    node.stop().await;
    let result = operation_result(&here.api, &here.caller, task).await.unwrap();
    assert_eq!(result.status.number(), JobStatus::Succeeded.number());
}

/// Contract 7.3, 9008: the device is not away, its gateway is.
#[tokio::test]
async fn after_a_drain_no_device_is_alive_and_its_gateway_was_lost_a_moment_ago() {
    let mut here = Deployment::start().await;
    let node = here.gateway().await;
    let device = here.enrol(&node, 1).await;
    let mut agent = here.connect(&node, &device).await;
    node.shutdown.cancel();
    assert_eq!(agent.farewell().await, Some(Farewell::Draining));
    node.stop().await;
    let other = here.gateway().await;
    let request = here.request(vec![device.instance.clone()]);
    // Another one is alive.
    let mut again = here.dial(&other);
    again.challenge().await;
    assert_eq!(here.ask(&request).await, Err(Condition::GatewayLost));
    here.clock.advance(Span::from_secs(59));
    assert_eq!(here.ask(&request).await, Err(Condition::GatewayLost));
    other.stop().await;
}

#[tokio::test]
async fn after_a_crash_and_a_restart_a_device_counts_as_away_only_a_minute_later() {
    let mut here = Deployment::start().await;
    let node = here.gateway().await;
    let device = here.enrol(&node, 1).await;
    let _agent = here.connect(&node, &device).await;
    here.crash(node).await;
    let node = here.gateway().await;
    let mut stranger = here.dial(&node);
    stranger.challenge().await;
    let request = here.request(vec![device.instance.clone()]);
    assert_eq!(here.ask(&request).await, Err(Condition::GatewayLost));
    here.clock.advance(Span::from_secs(50));
    assert_eq!(here.ask(&request).await, Err(Condition::GatewayLost));
    let agent = here.connect(&node, &device).await;
    here.ask(&request).await.unwrap();
    drop(agent);
    node.stop().await;
}

#[tokio::test]
async fn devices_of_a_gateway_that_is_cut_off_from_the_store_take_their_jobs_to_another() {
    let mut here = Deployment::start().await;
    let short = Span::from_secs(1);
    let cut_off = here.gateway_with(short, quick()).await;
    let other = here.gateway().await;
    let (device, away) = (here.enrol(&other, 1).await, here.enrol(&other, 2).await);
    let mut agent = here.connect(&cut_off, &device).await;
    let mut lost = here.connect(&cut_off, &away).await;
    let instances = vec![device.instance.clone(), away.instance.clone()];
    let task = here.reset(instances.clone()).await;
    let frame = job(&mut agent).await;
    job(&mut lost).await;
    let before = here.api.store.reset_candidates(&instances).await.unwrap();
    let Connection::Bound { binding, .. } = before.devices[0].connection else { panic!("bound") };

    let _closed = cut_off.door.close().await;
    let report = here.report(&device, &frame);
    agent.say(AgentEvent::Report(Box::new(report.clone()))).await;
    assert_eq!(agent.farewell().await, Some(Farewell::Unavailable), "and no acknowledgement");
    let (_, jobs) = here.api.store.task(task).await.unwrap().unwrap();
    assert!(jobs.iter().all(|job| job.report.is_none()), "nothing is recorded");

    let mut agent = here.connect(&other, &device).await;
    assert_eq!(job(&mut agent).await, frame, "the job came along");
    agent.say(AgentEvent::Report(Box::new(report))).await;
    assert_eq!(agent.kept().await, [frame.job]);

    // What the one that was cut off still tries arrives late, and is refused.
    here.clock.advance(short);
    let devices = Deliverable::Devices(vec![away.instance.clone()]);
    let late = cut_off.door.roles.deliver(binding.gateway, devices).await;
    assert!(matches!(late, Err(StoreError::LeaseEnded)), "{late:?}");
    drop(agent);
    other.stop().await;
}
