//! The queue's contract, kept by the queue of a single process.

#[cfg(test)]
#[path = "../contract/mod.rs"]
mod contract;

#[cfg(test)]
async fn world() -> contract::World {
    // Enough for the largest publication of the suite.
    let held = 4_000;
    let queue = std::sync::Arc::new(opencpm_queue::EmbeddedQueue::with_capacity(held));
    contract::World { queue, held }
}

#[cfg(test)]
contract::suite!(crate::world);
