//! What a client is told while the broker is away, and that all heals by itself.

use std::sync::LazyLock;
use std::time::Duration;

use opencpm_operations::port::{Queue, QueueError, Subscription};
use opencpm_queue::RabbitMqQueue;
use opencpm_servers::RabbitMq;
use tokio::sync::{Mutex, MutexGuard};

use crate::contract::{gateway, jobs, ready};
use crate::world::{deployment, options, queue};

/// A broker for one test after the other.
async fn fragile() -> MutexGuard<'static, RabbitMq> {
    static FRAGILE: LazyLock<Mutex<RabbitMq>> = LazyLock::new(|| Mutex::new(RabbitMq::start()));
    FRAGILE.lock().await
}

/// What a check says, within the time that a client is promised an answer.
async fn check(queue: &RabbitMqQueue) -> Result<(), QueueError> {
    let answer = tokio::time::timeout(Duration::from_secs(3), queue.check()).await;
    answer.expect("an answer while the client waits")
}

async fn heals(queue: &RabbitMqQueue) {
    while check(queue).await.is_err() {
        tokio::task::yield_now().await;
    }
}

/// The same subscription hears again. Its connection and the publisher's come back each at its own
/// time, and what is published between the two is lost to the queue.
async fn works(queue: &RabbitMqQueue, one: &mut Box<dyn Subscription>) {
    loop {
        let published = queue.publish(vec![ready(1, 0..1)]).await;
        let heard = tokio::time::timeout(Duration::from_millis(200), one.next()).await;
        if let (Ok(()), Ok(heard)) = (published, heard) {
            assert!(heard.is_some_and(|heard| heard.starts_with(&jobs(0..1))));
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_broker_is_noticed_by_the_next_check_and_found_again() {
    let mut broker = fragile().await;
    let (queue, _) = queue(&broker).await;
    let mut one = queue.subscribe(gateway(1)).await.unwrap();
    assert!(check(&queue).await.is_ok());
    broker.kill();
    assert!(check(&queue).await.is_err());
    assert!(queue.publish(vec![ready(1, 0..1)]).await.is_err());
    broker.start_again();
    heals(&queue).await;
    works(&queue, &mut one).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_short_of_memory_is_not_published_to() {
    let broker = fragile().await;
    let (queue, _) = queue(&broker).await;
    let mut one = queue.subscribe(gateway(1)).await.unwrap();
    assert!(check(&queue).await.is_ok());
    broker.control(&["set_vm_memory_high_watermark", "absolute", "1"]);
    // The alarm goes off when the broker next looks at its memory.
    let refusal = loop {
        if let Err(refusal) = check(&queue).await {
            break refusal;
        }
    };
    let why = std::error::Error::source(&refusal).map(ToString::to_string);
    assert_eq!(why.as_deref(), Some("the broker takes no messages: its memory or disk is short"));
    let (late, _) = self::queue(&broker).await;
    assert!(check(&late).await.is_err(), "who comes during the alarm is told too");
    broker.control(&["set_vm_memory_high_watermark", "0.4"]);
    heals(&queue).await;
    heals(&late).await;
    works(&queue, &mut one).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_broker_is_noticed_and_found_again() {
    let broker = fragile().await;
    let (queue, _) = queue(&broker).await;
    let mut one = queue.subscribe(gateway(1)).await.unwrap();
    assert!(check(&queue).await.is_ok());
    broker.freeze();
    for _ in 0..3 {
        assert!(check(&queue).await.is_err());
    }
    broker.thaw();
    heals(&queue).await;
    works(&queue, &mut one).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_away_at_the_start_keeps_nobody_from_starting() {
    let mut broker = fragile().await;
    broker.kill();
    let queue = RabbitMqQueue::connect(options(&broker), deployment()).await;
    let mut one = queue.subscribe(gateway(1)).await.unwrap();
    assert!(check(&queue).await.is_err());
    broker.start_again();
    heals(&queue).await;
    works(&queue, &mut one).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_ends_subscriptions_and_refuses_what_comes_later() {
    let broker = fragile().await;
    let (queue, _) = queue(&broker).await;
    let mut one = queue.subscribe(gateway(1)).await.unwrap();
    queue.close().await;
    assert_eq!(one.next().await, None);
    assert!(check(&queue).await.is_err());
    assert!(queue.publish(vec![ready(1, 0..1)]).await.is_err());
}
