//! Whether the server answers.
//!
//! A server that was killed is noticed at once: its connections break. One that stands still, or
//! that the network cut off, is not: the kernel goes on waiting. So somebody asks it all the time,
//! over a connection of their own; when the answer does not come, whatever waits for the server
//! is given up, and whoever comes hears it at once. A large statement that takes its time is not
//! disturbed: the server answers meanwhile.

use std::time::Duration;

use opencpm_operations::port::StoreError;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

/// Between two questions. With the limit below, whoever asks the store hears within 3 s.
const PAUSE: Duration = Duration::from_millis(400);
/// For an answer, on a machine that is busy.
const LIMIT: Duration = Duration::from_secs(2);

/// Asks, until it is dropped.
pub(super) struct Pulse {
    beating: watch::Receiver<bool>,
    task: AbortHandle,
}

impl Pulse {
    /// Begins to ask. The server is believed to answer until it does not.
    pub(super) fn start(options: PgConnectOptions) -> Self {
        let (tell, beating) = watch::channel(true);
        let task = tokio::spawn(ask(options, tell)).abort_handle();
        Self { beating, task }
    }

    /// Who wants to know.
    pub(super) fn listen(&self) -> Listener {
        Listener(self.beating.clone())
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Knows whether the server answers.
#[derive(Clone)]
pub(crate) struct Listener(watch::Receiver<bool>);

impl Listener {
    /// Waits for what the server does, no longer than it answers.
    pub(crate) async fn guard<T>(
        &mut self,
        work: impl Future<Output = Result<T, sqlx::Error>>,
        name: impl Fn(sqlx::Error) -> StoreError,
    ) -> Result<T, StoreError> {
        tokio::select! {
            biased;
            // Fails when the store was closed; then the connections say so.
            Ok(_) = self.0.wait_for(|beating| !beating) => Err(silent()),
            done = work => done.map_err(name),
        }
    }
}

fn silent() -> StoreError {
    StoreError::Unavailable("the database server does not answer".into())
}

async fn ask(options: PgConnectOptions, tell: watch::Sender<bool>) {
    let mut line = None;
    loop {
        let answered = timeout(LIMIT, answer(&options, &mut line)).await.is_ok_and(|it| it.is_ok());
        if !answered {
            line = None;
        }
        let changed =
            tell.send_if_modified(|beating| std::mem::replace(beating, answered) != answered);
        match (changed, answered) {
            (true, true) => tracing::info!("the database server answers again"),
            (true, false) => tracing::error!("the database server does not answer"),
            _ => {}
        }
        sleep(PAUSE).await;
    }
}

async fn answer(
    options: &PgConnectOptions,
    line: &mut Option<PgConnection>,
) -> Result<(), sqlx::Error> {
    // A connection of its own may break while the server is well; only a new one tells.
    if let Some(held) = line
        && held.ping().await.is_ok()
    {
        return Ok(());
    }
    *line = None;
    match options.connect().await {
        Ok(new) => *line = Some(new),
        // It answers, if only that it has no room for one more.
        Err(error) if error.as_database_error().is_some_and(has_no_room) => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Too many connections (PostgreSQL's error codes, class 53).
fn has_no_room(error: &dyn sqlx::error::DatabaseError) -> bool {
    error.code().is_some_and(|code| code == "53300")
}
