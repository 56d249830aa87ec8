//! How much of large requests is in memory at a time.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// A request with no more devices than this never waits for a larger one.
const SMALL: u32 = 1_000;

/// Devices of all small requests that are being accepted, and as many again of large ones: the
/// largest request (contract 4.1) fits, and a second one beside it. A device takes some KiB while
/// it is accepted, so this is about a gigabyte each.
const DEVICES: u32 = 200_000;

/// A request that finds no room waits at most so long: a client waits not much longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Ends with room, or with nothing when none came in time.
pub(crate) type Waiting = Pin<Box<dyn Future<Output = Option<OwnedSemaphorePermit>> + Send>>;

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
    /// Takes room for so many devices, given back when dropped. `Ok` and `Err` tell the room that
    /// was there at once from that which is waited for.
    pub(crate) fn take(&self, devices: usize) -> Result<OwnedSemaphorePermit, Waiting> {
        let devices = u32::try_from(devices).unwrap_or(u32::MAX).min(DEVICES);
        let room = if devices <= SMALL { &self.small } else { &self.large };
        let waiting = Arc::clone(room);
        Arc::clone(room).try_acquire_many_owned(devices).map_err(|_| -> Waiting {
            Box::pin(async move {
                timeout(PATIENCE, waiting.acquire_many_owned(devices)).await.ok()?.ok()
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_third_large_request_waits_and_small_ones_do_not() {
        let room = Room::default();
        let (first, second) = (room.take(100_000), room.take(100_000));
        assert!(first.is_ok() && second.is_ok());
        assert!(room.take(1_000).is_ok());
        let third = room.take(100_000).err().unwrap();
        drop(first);
        assert!(third.await.is_some());
    }

    #[test]
    fn even_more_than_the_largest_request_fits_alone() {
        assert!(Room::default().take(usize::MAX).is_ok());
    }
}
