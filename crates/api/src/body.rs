//! Reading a request's body within bounds of size, memory and time.

use std::ops::Deref;
use std::sync::Arc;

use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use opencpm_domain::{Condition, Refusal};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use zeroize::Zeroizing;

use crate::Limits;

/// So much of each body needs no permit: whoever fills the memory keeps out large bodies only.
const FREE: usize = 64 << 10;

/// The permits for bodies in memory, one for each byte.
pub(crate) fn memory(limits: &Limits) -> Arc<Semaphore> {
    let largest = limits.body.saturating_sub(FREE);
    Arc::new(Semaphore::new(limits.body_memory.max(largest).min(Semaphore::MAX_PERMITS)))
}

/// The bytes of a body, or of what stands for one. They may hold a password and are wiped when
/// dropped; what the HTTP library buffered on the way is not ours to wipe.
#[derive(Default)]
pub(crate) struct Bytes {
    bytes: Zeroizing<Vec<u8>>,
    /// As many as bytes beyond [`FREE`]. Given back when dropped, that is, after the answer.
    permit: Option<OwnedSemaphorePermit>,
}

/// Reads a body to its end. Refuses one that is too large before reading it to its end, and one
/// that does not come in time.
pub(crate) async fn read(
    body: Incoming,
    limits: &Limits,
    memory: &Arc<Semaphore>,
) -> Result<Bytes, Refusal> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > limits.body {
        return Err(too_large(limits));
    }
    match tokio::time::timeout(limits.body_time, collect(body, limits, memory)).await {
        Ok(result) => result,
        Err(_) => {
            let why = "the body did not arrive in time, or too many large ones arrive at once";
            Err(Refusal::new(Condition::Malformed, why))
        }
    }
}

async fn collect(
    mut body: Incoming,
    limits: &Limits,
    memory: &Arc<Semaphore>,
) -> Result<Bytes, Refusal> {
    let mut bytes = Bytes::default();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return Err(Refusal::new(Condition::Malformed, "the body ended early"));
        };
        let Some(data) = frame.data_ref() else { continue };
        if bytes.len() + data.len() > limits.body {
            return Err(too_large(limits));
        }
        bytes.wait_for_memory(data.len(), memory).await;
        bytes.append(data);
    }
    Ok(bytes)
}

impl Bytes {
    /// Permits are taken for what has come, not for what is announced: announcing costs nothing.
    async fn wait_for_memory(&mut self, more: usize, memory: &Arc<Semaphore>) {
        let held = self.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let missing = (self.len() + more).saturating_sub(FREE + held);
        let missing = u32::try_from(missing).unwrap_or(u32::MAX);
        // Fails only when the semaphore is closed, which nobody does.
        let Ok(taken) = memory.clone().acquire_many_owned(missing).await else { return };
        match &mut self.permit {
            Some(permit) => permit.merge(taken),
            None => self.permit = Some(taken),
        }
    }

    /// Appends without leaving a copy behind: a vector that grows by itself frees its old memory
    /// unwiped.
    fn append(&mut self, data: &[u8]) {
        let needed = self.len() + data.len();
        if needed > self.bytes.capacity() {
            let capacity = needed.max(2 * self.bytes.capacity());
            let mut larger = Zeroizing::new(Vec::with_capacity(capacity));
            larger.extend_from_slice(&self.bytes);
            self.bytes = larger;
        }
        self.bytes.extend_from_slice(data);
    }
}

impl From<&str> for Bytes {
    fn from(text: &str) -> Self {
        Self { bytes: Zeroizing::new(text.as_bytes().to_vec()), permit: None }
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

fn too_large(limits: &Limits) -> Refusal {
    Refusal::new(Condition::TooLarge, format!("the body is larger than {} bytes", limits.body))
}
