//! What lies at the broker, and what comes of what others put there.

use lapin::BasicProperties;
use lapin::types::AMQPValue;
use opencpm_operations::port::Queue;
use opencpm_servers::Stranger;

use crate::contract::{gateway, jobs, ready, take};
use crate::world::{queue, shared};

#[tokio::test(flavor = "multi_thread")]
async fn a_message_holds_the_ids_of_its_jobs_and_nothing_else() {
    let (queue, deployment) = queue(shared()).await;
    let stranger = Stranger::at(shared()).await;
    let listens = stranger.listen(deployment, &gateway(1).to_string()).await;
    queue.publish(vec![ready(1, 0..3)]).await.unwrap();
    let message = stranger.get(&listens).await;
    let ids: Vec<u8> = jobs(0..3).iter().flat_map(|job| *job.as_bytes()).collect();
    assert_eq!(message.data, [&[1], &ids[..]].concat());
    assert_eq!(message.properties, BasicProperties::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_put_aside_and_holds_up_nobody() {
    let (queue, deployment) = queue(shared()).await;
    let mut one = queue.subscribe(gateway(1)).await.unwrap();
    let stranger = Stranger::at(shared()).await;
    let key = gateway(1).to_string();
    let (of_later, cut, huge) = ([&[2][..], &[7; 16]].concat(), [1; 16], vec![1; 1 + 16 * 1_001]);
    for wrong in [b"reset root" as &[u8], b"", &of_later, &cut, &huge] {
        stranger.publish(deployment, &key, wrong).await;
    }
    queue.publish(vec![ready(1, 0..2)]).await.unwrap();
    assert_eq!(take(&mut one, 2).await, jobs(0..2));
    let dead = format!("opencpm.{deployment}.dead");
    for wrong in [b"reset root" as &[u8], b"", &of_later, &cut, &huge] {
        let letter = stranger.get(&dead).await;
        assert_eq!((&letter.data[..], letter.routing_key.as_str()), (wrong, &*key));
        let headers = letter.properties.headers().clone().unwrap_or_default();
        let reason =
            headers.inner().get("x-first-death-reason").and_then(AMQPValue::as_long_string);
        assert_eq!(reason.map(|reason| reason.as_bytes()), Some(b"rejected" as &[u8]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn repeated_and_reordered_messages_are_handed_on_as_they_come() {
    let (queue, deployment) = queue(shared()).await;
    let mut one = queue.subscribe(gateway(1)).await.unwrap();
    let stranger = Stranger::at(shared()).await;
    for id in [2, 1, 2, 2] {
        let message = [&[1], &[id; 16][..]].concat();
        stranger.publish(deployment, &gateway(1).to_string(), &message).await;
    }
    let heard = take(&mut one, 4).await;
    assert_eq!(heard, [jobs(1..2), jobs(2..3), jobs(2..3), jobs(2..3)].concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_of_a_gateway_that_is_gone_goes_too() {
    let (queue, deployment) = queue(shared()).await;
    let name = format!("opencpm.{deployment}.gateway.{}", gateway(1));
    let one = queue.subscribe(gateway(1)).await.unwrap();
    assert!(shared().control(&["list_queues", "name"]).contains(&name));
    drop(one);
    while shared().control(&["list_queues", "name"]).contains(&name) {}
    assert!(queue.check().await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_deployments_share_a_broker_without_meeting() {
    let ((here, _), (there, _)) = (queue(shared()).await, queue(shared()).await);
    let mut one = here.subscribe(gateway(1)).await.unwrap();
    let mut other = there.subscribe(gateway(1)).await.unwrap();
    here.publish(vec![ready(1, 0..1)]).await.unwrap();
    there.publish(vec![ready(1, 1..2)]).await.unwrap();
    assert_eq!(take(&mut one, 1).await, jobs(0..1));
    assert_eq!(take(&mut other, 1).await, jobs(1..2));
}
