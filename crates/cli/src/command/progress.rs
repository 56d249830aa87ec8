//! Waits for a task, with a progress bar where a person looks on.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use opencpm_domain::Condition;

use crate::client::answer::OperationResult;
use crate::client::{Client, ClientError, Parameters, read};

/// From one question to the next: quick for a few machines, and no burden with many.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// How many questions in a row may fail before the wait is given up. The task goes on without us.
const PATIENCE: u32 = 5;

/// How far the machines of a task are.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// A bar for so many machines on standard error; nothing where that is no terminal.
    pub(crate) fn new(machines: usize) -> Self {
        let target = if std::io::stderr().is_terminal() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(Some(machines as u64), target);
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} machines {elapsed} {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self(bar)
    }

    fn show(&self, result: &OperationResult) {
        let machines = &result.instance_ids;
        let ended = machines.iter().filter(|machine| machine.status != 4).count();
        let failed = machines.iter().filter(|machine| machine.status == 2).count();
        self.0.set_position(ended as u64);
        if failed > 0 {
            self.0.set_message(format!("{failed} failed"));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Asks until the task is finished: it is by its deadline, whatever happens to its machines.
/// Returns the last answer, as the service sent it and read.
pub(crate) async fn wait_for(
    client: &Client,
    task: u64,
    progress: &Progress,
) -> Result<(serde_json::Value, OperationResult), ClientError> {
    const ACTION: &str = "DescriptionOperationResult";
    let mut pause = FIRST_PAUSE;
    let mut failures = 0;
    loop {
        match client.call(ACTION, Parameters::new().with("taskId", task)).await {
            Ok(data) => {
                failures = 0;
                let result: OperationResult = read(ACTION, data.clone())?;
                progress.show(&result);
                if result.status().is_finished() {
                    return Ok((data, result));
                }
            }
            // The task goes on meanwhile: what is wrong with the question may soon be over.
            Err(error) if may_be_over_soon(&error) && failures < PATIENCE => {
                failures += 1;
                tracing::warn!(error = crate::output::chain(&error), "asking again");
            }
            Err(error) => return Err(error),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// A service that starts again answers soon, its store comes back, a quota is filled up again.
/// One that refuses for another reason will not change its mind.
fn may_be_over_soon(error: &ClientError) -> bool {
    matches!(error, ClientError::NoAnswer { .. })
        || error.is(Condition::StoreUnavailable)
        || error.is(Condition::QuotaExceeded)
}
