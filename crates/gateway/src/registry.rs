use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use opencpm_domain::InstanceId;
use opencpm_operations::deliver::Delivery;
use opencpm_protocol::message::Farewell;

use crate::line::{Command, Line};

/// The live connections of one term: at most one for each device.
#[derive(Default)]
pub(crate) struct Registry(Mutex<HashMap<InstanceId, Entry>>);

struct Entry {
    epoch: u64,
    line: Line,
}

impl Registry {
    /// Takes in a connection. The older one of the same device is replaced.
    pub(crate) fn insert(&self, instance: InstanceId, epoch: u64, line: Line) {
        let former = self.entries().insert(instance, Entry { epoch, line });
        if let Some(former) = former {
            former.line.tell(Command::Dismiss(Farewell::Replaced));
        }
    }

    /// Forgets a connection, unless a newer one took its place.
    pub(crate) fn remove(&self, instance: &InstanceId, epoch: u64) {
        let mut entries = self.entries();
        if entries.get(instance).is_some_and(|entry| entry.epoch == epoch) {
            entries.remove(instance);
        }
    }

    /// Hands a job to its connection. Without that connection it is dropped: the device's next
    /// connection, or the sweep, asks for it again.
    pub(crate) fn deliver(&self, delivery: Delivery) {
        let entries = self.entries();
        let entry = entries.get(&delivery.instance).filter(|e| e.epoch == delivery.epoch);
        if let Some(entry) = entry {
            entry.line.tell(Command::Deliver(Box::new(delivery.frame)));
        }
    }

    /// Every line, for a farewell to all.
    pub(crate) fn lines(&self) -> Vec<Line> {
        self.entries().values().map(|entry| entry.line.clone()).collect()
    }

    /// How many devices are connected.
    pub(crate) fn len(&self) -> usize {
        self.entries().len()
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<InstanceId, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
