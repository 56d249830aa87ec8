use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opencpm_domain::{InstanceId, Timestamp};
use opencpm_protocol::message::Farewell;
use opencpm_protocol::token::EnrolmentToken;
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::{JoinError, JoinSet};
use tokio::time::sleep;

use crate::device::{Device, Site, Standing};
use crate::fault::Fault;
use crate::seed::Seed;
use crate::wire::{Wire, lock};

/// Between two connections of one device; doubled up to the last while it is not welcome.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LAST_PAUSE: Duration = Duration::from_secs(10);

/// What a fleet consists of.
pub struct Plan {
    /// How many devices.
    pub devices: u32,
    /// Where their keys come from. The same seed makes the same devices.
    pub seed: Seed,
    /// Of the first devices, in this order, one each; the others are good.
    pub faults: Vec<Fault>,
}

/// A fleet did not come together.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// The token is not good for all of them.
    #[error("the enrolment token was refused to simulated device {0}")]
    Refused(u32),
    /// A defect.
    #[error("a simulated device did not end well")]
    Panicked(#[source] JoinError),
}

/// Simulated devices that are enrolled and connected, until it is stopped or dropped.
pub struct Fleet {
    /// Every device, by its number.
    pub instances: Vec<InstanceId>,
    devices: JoinSet<Result<(), FleetError>>,
}

impl Fleet {
    /// Enrols the devices with the token, connects them, and returns once each was welcome.
    /// Devices of this seed that are enrolled already use none of the token.
    ///
    /// `dial` holds one connection until it ends, at a gateway in this process. It decides how
    /// many handshakes there are at a time, as a gateway does for its sockets.
    pub async fn start<D, F>(
        plan: Plan,
        token: &EnrolmentToken,
        clock: impl Fn() -> Timestamp + Send + Sync + 'static,
        dial: D,
    ) -> Result<Self, FleetError>
    where
        D: Fn(Wire) -> F + Clone + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let Plan { devices: count, seed, faults } = plan;
        let (tell, arrivals) = unbounded_channel();
        let site = Arc::new(Site::new(token, seed, Box::new(clock), tell));
        let mut faults = faults.into_iter();
        let mut devices = JoinSet::new();
        for number in 0..count {
            devices.spawn(live(Arc::clone(&site), number, faults.next(), dial.clone()));
        }
        let instances = muster(count, arrivals, &mut devices).await?;
        Ok(Self { instances, devices })
    }

    /// Ends every connection without a word, as if all machines lost their power.
    pub async fn stop(mut self) -> Result<(), FleetError> {
        self.devices.abort_all();
        while let Some(ended) = self.devices.join_next().await {
            match ended {
                Err(error) if error.is_panic() => return Err(FleetError::Panicked(error)),
                Err(_) | Ok(Ok(())) => {}
                Ok(Err(error)) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Waits until all have arrived.
async fn muster(
    count: u32,
    mut arrivals: UnboundedReceiver<(u32, InstanceId)>,
    devices: &mut JoinSet<Result<(), FleetError>>,
) -> Result<Vec<InstanceId>, FleetError> {
    let mut present = std::collections::BTreeMap::new();
    while present.len() < count as usize {
        tokio::select! {
            Some((number, instance)) = arrivals.recv() => {
                present.insert(number, instance);
            }
            Some(ended) = devices.join_next() => ended.map_err(FleetError::Panicked)??,
        }
    }
    Ok(present.into_values().collect())
}

/// The life of one device. Ends when its fault takes it away, or when it cannot be enrolled.
async fn live<D, F>(
    site: Arc<Site>,
    number: u32,
    fault: Option<Fault>,
    mut dial: D,
) -> Result<(), FleetError>
where
    D: Fn(Wire) -> F,
    F: Future<Output = ()>,
{
    let device = Arc::new(Mutex::new(Device::new(site, number, fault)));
    let mut pause = FIRST_PAUSE;
    loop {
        stay(&device, &mut dial).await;
        let standing = lock(&device).standing;
        match standing {
            Standing::Gone => return Ok(()),
            Standing::Dismissed(Some(Farewell::TokenRefused)) => {
                return Err(FleetError::Refused(number));
            }
            Standing::Enrolled => continue,
            Standing::Welcome => pause = FIRST_PAUSE,
            Standing::Unheard | Standing::Dismissed(_) => {}
        }
        sleep(pause).await;
        pause = (pause * 2).min(LAST_PAUSE);
    }
}

/// Holds a connection until it ends. Where its gateway asks the device to move, the next one takes
/// its place once the device is welcome there.
async fn stay<D, F>(device: &Arc<Mutex<Device>>, dial: &mut D)
where
    D: Fn(Wire) -> F,
    F: Future<Output = ()>,
{
    let news = Arc::clone(&lock(device).news);
    let mut here = Box::pin(dial(Wire::new(Arc::clone(device))));
    loop {
        tokio::select! {
            () = &mut here => return,
            () = news.notified() => {}
        }
        if lock(device).wants_to_move {
            tokio::select! {
                () = &mut here => return,
                there = move_on(device, dial, &news) => here = there,
            }
        }
    }
}

/// The connection on which the device is welcome next, however often it has to ask.
async fn move_on<D, F>(device: &Arc<Mutex<Device>>, dial: &mut D, news: &Notify) -> Pin<Box<F>>
where
    D: Fn(Wire) -> F,
    F: Future<Output = ()>,
{
    let mut pause = FIRST_PAUSE;
    loop {
        let mut there = Box::pin(dial(Wire::new(Arc::clone(device))));
        loop {
            tokio::select! {
                () = &mut there => break,
                () = news.notified() => {}
            }
            if lock(device).standing == Standing::Welcome {
                return there;
            }
        }
        sleep(pause).await;
        pause = (pause * 2).min(LAST_PAUSE);
    }
}
