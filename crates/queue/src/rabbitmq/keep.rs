//! Keeps a connection: opens it, lets somebody work on it, and opens another one when it is over.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use opencpm_domain::{Span, full_jitter};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::link::{Link, LinkError};
use super::options::RabbitMqOptions;

/// The limit of the first wait for another connection; it doubles with each failure.
const FIRST: Span = Span::from_micros(200_000);
/// The last limit. A broker that is back is found within it.
const LAST: Span = Span::from_secs(5);
/// For what is declared on a new connection. With the opening of the connection, this is how long
/// a broker can be silent before another connection is tried.
const PREPARE: Duration = Duration::from_secs(3);

/// What is done with a connection.
#[async_trait]
pub(super) trait Work: Send {
    /// Shown at the broker and in logs.
    const PURPOSE: &'static str;

    /// Makes a new connection ready.
    async fn prepare(&mut self, link: &Link) -> Result<(), LinkError>;

    /// Works until something fails. Dropped when the link is over.
    async fn serve(&mut self, link: &Arc<Link>) -> Result<(), LinkError>;
}

/// Works on one connection after the other until it is told to stop. Never gives up.
pub(super) async fn keep<W: Work>(options: RabbitMqOptions, mut work: W, stop: CancellationToken) {
    let mut failures = 0;
    let mut told = false;
    loop {
        let turn = turn(&options, &mut work, &mut told, &stop).await;
        let Some((error, lasted)) = turn else { return };
        if stop.is_cancelled() {
            return;
        }
        if !told {
            told = true;
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, broker = %options, purpose = W::PURPOSE, "the broker is away");
        }
        // A connection that held was good. One that is lost as soon as it is open is not.
        failures = if lasted > Duration::from_micros(LAST.as_micros()) { 0 } else { failures + 1 };
        let random = getrandom::u64().unwrap_or(u64::MAX);
        let wait = full_jitter(FIRST, LAST, failures, random);
        let wait = sleep(Duration::from_micros(wait.as_micros()));
        if stop.run_until_cancelled(wait).await.is_none() {
            return;
        }
    }
}

/// One connection: why it ended and after how long, or nothing when all is to stop.
async fn turn<W: Work>(
    options: &RabbitMqOptions,
    work: &mut W,
    told: &mut bool,
    stop: &CancellationToken,
) -> Option<(LinkError, Duration)> {
    let begin = Instant::now();
    let link = match stop.run_until_cancelled(open(options, work)).await? {
        Ok(link) => Arc::new(link),
        Err(error) => return Some((error, Duration::ZERO)),
    };
    *told = false;
    tracing::info!(broker = %options, purpose = W::PURPOSE, "connected to the broker");
    let ended = tokio::select! {
        ended = work.serve(&link) => ended.err().unwrap_or(LinkError::Down),
        () = link.over() => LinkError::Down,
        () = stop.cancelled() => {
            link.close().await;
            return None;
        }
    };
    link.cut();
    Some((ended, begin.elapsed()))
}

async fn open<W: Work>(options: &RabbitMqOptions, work: &mut W) -> Result<Link, LinkError> {
    let link = Link::open(options, W::PURPOSE).await?;
    timeout(PREPARE, work.prepare(&link)).await.map_err(|_| LinkError::Silent)??;
    Ok(link)
}
