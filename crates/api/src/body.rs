//! Reading a request's body within bounds of size, memory and time.

use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use opencpm_domain::{Condition, Refusal};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::Limits;

/// A body up to this size needs no permit.
const SMALL: usize = 64 << 10;

/// Reads a body to its end. Refuses one that is too large before reading it to its end, and one
/// that does not come in time. The bytes may hold a password and are wiped when dropped; what the
/// HTTP library buffered on the way is not ours to wipe.
pub(crate) async fn read(
    body: Incoming,
    limits: &Limits,
    large: &Semaphore,
) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > limits.body {
        return Err(too_large(limits));
    }
    let read = collect(body, announced.min(SMALL), limits, large);
    match tokio::time::timeout(limits.body_time, read).await {
        Ok(result) => result,
        Err(_) => Err(Refusal::new(Condition::Malformed, "the body did not arrive in time")),
    }
}

async fn collect(
    mut body: Incoming,
    expected: usize,
    limits: &Limits,
    large: &Semaphore,
) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(expected));
    let mut permit = None;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return Err(Refusal::new(Condition::Malformed, "the body ended early"));
        };
        let Some(data) = frame.data_ref() else { continue };
        if bytes.len() + data.len() > limits.body {
            return Err(too_large(limits));
        }
        if permit.is_none() && bytes.len() + data.len() > SMALL {
            permit = large.acquire().await.ok();
        }
        append(&mut bytes, data);
    }
    Ok(bytes)
}

/// Appends without leaving a copy behind: a vector that grows by itself frees its old memory
/// unwiped.
fn append(bytes: &mut Zeroizing<Vec<u8>>, data: &[u8]) {
    let needed = bytes.len() + data.len();
    if needed > bytes.capacity() {
        let mut larger = Zeroizing::new(Vec::with_capacity(needed.max(2 * bytes.capacity())));
        larger.extend_from_slice(bytes);
        *bytes = larger;
    }
    bytes.extend_from_slice(data);
}

fn too_large(limits: &Limits) -> Refusal {
    Refusal::new(Condition::TooLarge, format!("the body is larger than {} bytes", limits.body))
}
