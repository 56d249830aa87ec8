use opencpm_domain::Span;
use serde::de::{Deserializer, Error};
use serde::{Deserialize, Serialize};

/// A hundred years: for good.
const MOST: u64 = 36_500;

/// How long what is over is kept.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Retention {
    /// Tasks, their jobs and their part of the operation log, from the task's acceptance on.
    #[serde(deserialize_with = "days")]
    days: u64,
}

impl Default for Retention {
    /// Design section 4.
    fn default() -> Self {
        Self { days: 180 }
    }
}

impl Retention {
    /// As the sweep counts.
    pub(crate) fn kept(&self) -> Span {
        Span::from_secs(self.days * 86_400)
    }
}

fn days<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    match u64::deserialize(from)? {
        days @ 1..=MOST => Ok(days),
        days => Err(Error::custom(format!("found {days}, expected 1 to {MOST} days"))),
    }
}
