use std::net::SocketAddr;
use std::time::Duration;

use serde::de::{Deserializer, Error};
use serde::{Deserialize, Serialize};

use super::value::some_address;

/// Longer than any load balancer needs to look again, in seconds.
const MOST: u64 = 60;

/// What watches the process from outside.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Metrics {
    /// Plain HTTP listener for `/healthz` and `/readyz`; none unless given.
    #[serde(deserialize_with = "some_address")]
    pub(crate) listen: Option<SocketAddr>,
    /// Seconds from SIGTERM, when `/readyz` says so, until the other listeners close.
    #[serde(deserialize_with = "notice")]
    notice: u64,
}

impl Metrics {
    /// For load balancers to notice that this process is about to end.
    pub(crate) fn notice(&self) -> Duration {
        Duration::from_secs(self.notice)
    }
}

fn notice<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    match u64::deserialize(from)? {
        seconds @ 0..=MOST => Ok(seconds),
        seconds => Err(Error::custom(format!("found {seconds}, expected 0 to {MOST} seconds"))),
    }
}
