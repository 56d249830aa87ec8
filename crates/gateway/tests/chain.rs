//! The gateway over the real operations and a real store: a machine enrols, connects, opens what
//! was sealed for it, and its signed report proves the success.

mod support;

use opencpm_domain::{Condition, JobStatus};
use opencpm_operations::operation_result::{operation_result, verify_task};
use opencpm_protocol::conversation::AgentEvent;
use secrecy::ExposeSecret;
use support::deployment::{Deployment, PASSWORD, job};

#[tokio::test]
async fn a_reset_reaches_the_machine_and_its_signed_report_proves_the_success() {
    let mut here = Deployment::start().await;
    let node = here.gateway().await;
    let device = here.enrol(&node, 1).await;
    let mut agent = here.connect(&node, &device).await;
    let task = here.reset(vec![device.instance.clone()]).await;
    let frame = job(&mut agent).await;
    assert_eq!(here.open(&device, &frame).expose_secret(), PASSWORD);
    let report = here.report(&device, &frame);
    agent.say(AgentEvent::Report(Box::new(report))).await;
    assert_eq!(agent.kept().await, [frame.job]);
    let result = operation_result(&here.api, &here.caller, task).await.unwrap();
    assert_eq!(result.status.number(), JobStatus::Succeeded.number());
    node.stop().await;
}

/// Contract 2.6 and 7.1.
#[tokio::test]
async fn a_request_that_comes_again_is_called_that_and_a_refused_one_may_come_again() {
    let mut here = Deployment::start().await;
    let node = here.gateway().await;
    let device = here.enrol(&node, 1).await;
    let mut agent = here.connect(&node, &device).await;
    let first = here.request(vec![device.instance.clone()]);
    let other = here.request(vec![device.instance.clone()]);
    here.ask(&first).await.unwrap();
    assert_eq!(here.ask(&first).await, Err(Condition::Replayed));
    assert_eq!(here.ask(&other).await, Err(Condition::DeviceBusy));
    let frame = job(&mut agent).await;
    let report = here.report(&device, &frame);
    agent.say(AgentEvent::Report(Box::new(report))).await;
    assert_eq!(agent.kept().await, [frame.job]);
    assert_eq!(here.ask(&first).await, Err(Condition::Replayed));
    here.ask(&other).await.unwrap();
    node.stop().await;
}

#[tokio::test]
async fn a_task_can_be_verified_again() {
    let mut here = Deployment::start().await;
    let node = here.gateway().await;
    let (proved, silent) = (here.enrol(&node, 1).await, here.enrol(&node, 2).await);
    let (mut agent, _other) =
        (here.connect(&node, &proved).await, here.connect(&node, &silent).await);
    let task = here.reset(vec![silent.instance.clone(), proved.instance.clone()]).await;
    let frame = job(&mut agent).await;
    let report = here.report(&proved, &frame);
    agent.say(AgentEvent::Report(Box::new(report))).await;
    assert_eq!(agent.kept().await, [frame.job]);
    let verified = verify_task(&here.api, &here.caller, task).await.unwrap();
    assert_eq!(verified.successes, [(proved.instance, Ok(()))]);
    node.stop().await;
}

#[tokio::test]
async fn a_machine_that_lost_its_connection_gets_the_job_again_on_the_next_one() {
    let mut here = Deployment::start().await;
    let node = here.gateway().await;
    let device = here.enrol(&node, 1).await;
    let mut agent = here.connect(&node, &device).await;
    let task = here.reset(vec![device.instance.clone()]).await;
    let first = job(&mut agent).await;
    drop(agent);
    let mut agent = here.connect(&node, &device).await;
    assert_eq!(job(&mut agent).await, first);
    let result = operation_result(&here.api, &here.caller, task).await.unwrap();
    assert_eq!(result.status.number(), JobStatus::Incomplete.number());
    let report = here.report(&device, &first);
    agent.say(AgentEvent::Report(Box::new(report))).await;
    assert_eq!(agent.kept().await, [first.job]);
    node.stop().await;
}
