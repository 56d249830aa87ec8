//! What every queue must do, written once against the port.
//!
//! To run it for a queue: a function that makes a fresh [`World`], and one line with [`suite!`]. A
//! function that the list in [`suite!`] leaves out is reported by the compiler as unused.

use std::sync::Arc;

use opencpm_domain::{GatewayId, JobId};
use opencpm_operations::port::{Queue, ReadyJobs, Subscription};

/// A fresh queue.
pub(crate) struct World {
    pub(crate) queue: Arc<dyn Queue>,
    /// Ids that wait at most within the process of a gateway that does not take them, where each
    /// publication has [`SOME`].
    pub(crate) held: usize,
}

/// Under the capacity of every queue in this suite.
pub(crate) const SOME: u8 = 8;

pub(crate) fn gateway(number: u8) -> GatewayId {
    GatewayId::from_bytes([number; 16])
}

pub(crate) fn jobs(range: std::ops::Range<u8>) -> Vec<JobId> {
    range.map(|n| JobId::from_bytes([n; 16])).collect()
}

pub(crate) fn ready(to: u8, range: std::ops::Range<u8>) -> ReadyJobs {
    ReadyJobs { gateway: gateway(to), jobs: jobs(range) }
}

/// As many jobs as asked for, in whatever portions they come, sorted.
pub(crate) async fn take(subscription: &mut Box<dyn Subscription>, count: usize) -> Vec<JobId> {
    let mut taken = Vec::new();
    while taken.len() < count {
        taken.extend(subscription.next().await.expect("the queue is open"));
    }
    taken.sort();
    taken
}

pub(crate) async fn each_gateway_hears_of_its_own_jobs_only(World { queue, .. }: World) {
    let mut one = queue.subscribe(gateway(1)).await.unwrap();
    let mut two = queue.subscribe(gateway(2)).await.unwrap();
    queue.publish(vec![ready(1, 0..3), ready(2, 3..5), ready(1, 5..SOME)]).await.unwrap();
    assert_eq!(take(&mut two, 2).await, jobs(3..5));
    assert_eq!(take(&mut one, 6).await, [jobs(0..3), jobs(5..SOME)].concat());
}

pub(crate) async fn a_waiting_gateway_is_woken(World { queue, .. }: World) {
    let mut one = queue.subscribe(gateway(1)).await.unwrap();
    let waiting = tokio::spawn(async move { take(&mut one, 1).await });
    queue.publish(vec![ready(1, 0..1)]).await.unwrap();
    assert_eq!(waiting.await.unwrap(), jobs(0..1));
}

pub(crate) async fn jobs_for_a_gateway_that_is_gone_hold_up_nobody(World { queue, .. }: World) {
    drop(queue.subscribe(gateway(1)).await.unwrap());
    let mut two = queue.subscribe(gateway(2)).await.unwrap();
    queue.publish(vec![ready(1, 0..1), ready(9, 1..2), ready(2, 2..3)]).await.unwrap();
    assert_eq!(take(&mut two, 1).await, jobs(2..3));
    assert!(queue.check().await.is_ok());
}

pub(crate) async fn a_gateway_that_does_not_listen_costs_bounded_memory_and_no_waiting(
    World { queue, held }: World,
) {
    let mut one = queue.subscribe(gateway(1)).await.unwrap();
    for _ in 0..2 * held / usize::from(SOME) {
        queue.publish(vec![ready(1, 0..SOME)]).await.unwrap();
    }
    let taken = one.next().await.unwrap();
    assert!(!taken.is_empty() && taken.len() <= held, "{}", taken.len());
    // And it can be used again.
    queue.publish(vec![ready(1, 40..41)]).await.unwrap();
    let mut heard = one.next().await.unwrap();
    while !heard.contains(&jobs(40..41)[0]) {
        heard = one.next().await.unwrap();
    }
}

pub(crate) async fn a_large_publication_arrives_whole(World { queue, .. }: World) {
    let many: Vec<_> = (0..2_500_u128).map(|n| JobId::from_bytes(n.to_be_bytes())).collect();
    let mut one = queue.subscribe(gateway(1)).await.unwrap();
    queue.publish(vec![ReadyJobs { gateway: gateway(1), jobs: many.clone() }]).await.unwrap();
    assert_eq!(take(&mut one, many.len()).await, many);
}

pub(crate) async fn a_call_that_is_given_up_loses_no_jobs(World { queue, .. }: World) {
    let mut one = queue.subscribe(gateway(1)).await.unwrap();
    let publishing = tokio::spawn(async move {
        for n in 0..SOME {
            queue.publish(vec![ready(1, n..n + 1)]).await.unwrap();
        }
        queue
    });
    let mut taken = Vec::new();
    while taken.len() < usize::from(SOME) {
        tokio::select! {
            biased;
            jobs = one.next() => taken.extend(jobs.expect("the queue is open")),
            () = tokio::task::yield_now() => {}
        }
    }
    taken.sort();
    assert_eq!(taken, jobs(0..SOME));
    publishing.await.unwrap();
}

pub(crate) async fn a_closed_queue_says_so(World { queue, .. }: World) {
    let mut one = queue.subscribe(gateway(1)).await.unwrap();
    drop(queue);
    assert_eq!(one.next().await, None);
}

/// Runs the whole contract for one kind of queue: a function that makes a fresh [`World`].
macro_rules! suite {
    ($world:path) => {
        contract::suite! { @tests $world;
            each_gateway_hears_of_its_own_jobs_only
            a_waiting_gateway_is_woken
            jobs_for_a_gateway_that_is_gone_hold_up_nobody
            a_gateway_that_does_not_listen_costs_bounded_memory_and_no_waiting
            a_large_publication_arrives_whole
            a_call_that_is_given_up_loses_no_jobs
            a_closed_queue_says_so
        }
    };
    (@tests $world:path; $($test:ident)+) => {
        mod keeps_the_contract {
            $(
                #[tokio::test]
                async fn $test() {
                    crate::contract::$test($world().await).await;
                }
            )+
        }
    };
}
pub(crate) use suite;
