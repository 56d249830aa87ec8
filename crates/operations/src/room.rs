//! How much of large requests is in memory at a time.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A request with no more devices than this never waits for a larger one.
const SMALL: u32 = 1_000;

/// Devices of all small requests that are being accepted, and as many again of large ones: the
/// largest request (contract 4.1) fits, and a second one beside it. A device takes some KiB while
/// it is accepted, so this is about a gigabyte each.
const DEVICES: u32 = 200_000;

/// Room for the devices of requests that are being accepted. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Room {
    small: Arc<Semaphore>,
    large: Arc<Semaphore>,
}

impl Default for Room {
    fn default() -> Self {
        let devices = || Arc::new(Semaphore::new(DEVICES as usize));
        Self { small: devices(), large: devices() }
    }
}

impl Room {
    /// Waits for room for so many devices. It is given back when the result is dropped.
    pub(crate) async fn take(&self, devices: usize) -> Option<OwnedSemaphorePermit> {
        let devices = u32::try_from(devices).unwrap_or(u32::MAX).min(DEVICES);
        let room = if devices <= SMALL { &self.small } else { &self.large };
        // `None` only if the semaphore were closed, which nobody does.
        Arc::clone(room).acquire_many_owned(devices).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[test]
    fn a_third_large_request_waits_and_small_ones_do_not() {
        let room = Room::default();
        let (first, second) =
            (room.take(100_000).now_or_never(), room.take(100_000).now_or_never());
        assert!(first.is_some() && second.is_some());
        assert!(room.take(100_000).now_or_never().is_none());
        assert!(room.take(1_000).now_or_never().is_some());
        drop(first);
        assert!(room.take(100_000).now_or_never().is_some());
    }

    #[test]
    fn even_more_than_the_largest_request_fits_alone() {
        assert!(Room::default().take(usize::MAX).now_or_never().is_some());
    }
}
