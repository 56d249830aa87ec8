//! What every implementation of the queue promises. A new one adds one line at the end.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a failed expectation is a failed test"
)]

use std::sync::Arc;

use opencpm_domain::{GatewayId, JobId};
use opencpm_operations::port::{Queue, ReadyJobs, Subscription};
use opencpm_queue::EmbeddedQueue;

/// Under the capacity of every queue in this suite.
const SOME: u8 = 8;
/// The queues of this suite hold so many ids for each gateway.
const CAPACITY: usize = 16;

fn gateway(number: u8) -> GatewayId {
    GatewayId::from_bytes([number; 16])
}

fn jobs(range: std::ops::Range<u8>) -> Vec<JobId> {
    range.map(|n| JobId::from_bytes([n; 16])).collect()
}

fn ready(to: u8, range: std::ops::Range<u8>) -> ReadyJobs {
    ReadyJobs { gateway: gateway(to), jobs: jobs(range) }
}

/// As many jobs as asked for, in whatever portions they come, sorted.
async fn take(subscription: &mut Box<dyn Subscription>, count: usize) -> Vec<JobId> {
    let mut taken = Vec::new();
    while taken.len() < count {
        taken.extend(subscription.next().await.expect("the queue is open"));
    }
    taken.sort();
    taken
}

async fn each_gateway_hears_of_its_own_jobs_only(queue: Arc<dyn Queue>) {
    let mut one = queue.subscribe(gateway(1)).await.unwrap();
    let mut two = queue.subscribe(gateway(2)).await.unwrap();
    queue.publish(vec![ready(1, 0..3), ready(2, 3..5), ready(1, 5..SOME)]).await.unwrap();
    assert_eq!(take(&mut two, 2).await, jobs(3..5));
    assert_eq!(take(&mut one, 6).await, [jobs(0..3), jobs(5..SOME)].concat());
}

async fn a_waiting_gateway_is_woken(queue: Arc<dyn Queue>) {
    let mut one = queue.subscribe(gateway(1)).await.unwrap();
    let waiting = tokio::spawn(async move { take(&mut one, 1).await });
    queue.publish(vec![ready(1, 0..1)]).await.unwrap();
    assert_eq!(waiting.await.unwrap(), jobs(0..1));
}

async fn jobs_for_a_gateway_that_is_gone_hold_up_nobody(queue: Arc<dyn Queue>) {
    drop(queue.subscribe(gateway(1)).await.unwrap());
    let mut two = queue.subscribe(gateway(2)).await.unwrap();
    queue.publish(vec![ready(1, 0..1), ready(9, 1..2), ready(2, 2..3)]).await.unwrap();
    assert_eq!(take(&mut two, 1).await, jobs(2..3));
    assert!(queue.check().await.is_ok());
}

async fn a_gateway_that_does_not_listen_costs_bounded_memory_and_no_waiting(queue: Arc<dyn Queue>) {
    let mut one = queue.subscribe(gateway(1)).await.unwrap();
    for _ in 0..100 {
        queue.publish(vec![ready(1, 0..SOME)]).await.unwrap();
    }
    let taken = one.next().await.unwrap();
    assert!(!taken.is_empty() && taken.len() <= CAPACITY, "{}", taken.len());
    // And it can be used again.
    queue.publish(vec![ready(1, 40..41)]).await.unwrap();
    let mut heard = one.next().await.unwrap();
    while !heard.contains(&jobs(40..41)[0]) {
        heard = one.next().await.unwrap();
    }
}

async fn a_closed_queue_says_so(queue: Arc<dyn Queue>) {
    let mut one = queue.subscribe(gateway(1)).await.unwrap();
    drop(queue);
    assert_eq!(one.next().await, None);
}

macro_rules! contract {
    ($implementation:ident: $make:expr; $($test:ident),* $(,)?) => {
        mod $implementation {
            use super::*;
            $(#[tokio::test]
            async fn $test() {
                super::$test(Arc::new($make)).await;
            })*
        }
    };
}

/// Every test of the contract, for one implementation.
macro_rules! whole_contract {
    ($implementation:ident: $make:expr) => {
        contract! {
            $implementation: $make;
            each_gateway_hears_of_its_own_jobs_only,
            a_waiting_gateway_is_woken,
            jobs_for_a_gateway_that_is_gone_hold_up_nobody,
            a_gateway_that_does_not_listen_costs_bounded_memory_and_no_waiting,
            a_closed_queue_says_so,
        }
    };
}

whole_contract!(embedded: EmbeddedQueue::with_capacity(CAPACITY));
