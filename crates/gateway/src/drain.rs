//! How a term ends: in good order, or because its lease has ended.

use std::time::Duration;

use opencpm_protocol::message::Farewell;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::config::Config;
use crate::line::Command;
use crate::term::{RunningTerm, join};

/// From one wave of moves to the next.
const PACE: Duration = Duration::from_millis(100);

/// Farewells to all go out in so many waves.
const WAVES: usize = 20;

impl RunningTerm {
    /// The process goes away in good order. Has everybody move to other gateways, says goodbye to
    /// who is left, records what still comes in, and ends the lease.
    pub(crate) async fn drain(mut self, config: &Config) {
        self.term.draining.cancel();
        tracing::info!(connections = self.term.registry.len(), "draining");
        self.hand_over(config).await;
        self.say_goodbye(config.drain).await;
        self.term.close_sessions(config.drain).await;
        if timeout(config.drain, self.finish_clerks()).await.is_err() {
            tracing::warn!("the store did not take the last records in time");
        }
        self.term.over.cancel();
        self.abort().await;
        self.end_lease(config.drain).await;
    }

    /// The lease ended: closes everybody and records nothing more.
    pub(crate) async fn abandon(mut self, grace: Duration) {
        self.term.over.cancel();
        self.term.draining.cancel();
        self.term.close_sessions(grace).await;
        self.abort().await;
        // Where a renewal was answered too late, the store still believes in it.
        self.end_lease(grace).await;
    }

    /// Each agent leaves once another gateway has welcomed it. Ends when the last has left, or when
    /// the others have had time enough to try.
    async fn hand_over(&self, config: &Config) {
        if config.hand_over.is_zero() {
            return;
        }
        let until = Instant::now() + config.hand_over;
        let lines = self.term.registry.lines();
        for wave in lines.chunks(config.wave(lines.len(), PACE)) {
            wave.iter().for_each(|line| line.tell(Command::Move));
            sleep(PACE).await;
        }
        self.term.sessions.close();
        let left = timeout_at(until, self.term.sessions.wait()).await;
        let remain = self.term.registry.len();
        tracing::info!(moved = lines.len() - remain.min(lines.len()), remain, "handed over");
        if left.is_err() {
            tracing::warn!(remain, "not every agent found another gateway");
        }
    }

    /// Over `spread`, because all will soon ask somebody else. They stay bound: to a gateway whose
    /// lease ends in a moment, which is what became of them until they are back.
    async fn say_goodbye(&self, spread: Duration) {
        self.term.leaving.cancel();
        let lines = self.term.registry.lines();
        for wave in lines.chunks(lines.len().div_ceil(WAVES).max(1)) {
            wave.iter().for_each(|line| line.tell(Command::Dismiss(Farewell::Draining)));
            sleep(spread / u32::try_from(WAVES).unwrap_or(u32::MAX)).await;
        }
    }

    async fn finish_clerks(&mut self) {
        self.stop.cancel();
        join(&mut self.clerks).await;
        self.stop_usher.cancel();
        join(&mut self.usher).await;
    }

    async fn abort(&mut self) {
        for tasks in [&mut self.clerks, &mut self.usher, &mut self.keeper] {
            tasks.abort_all();
            join(tasks).await;
        }
    }

    async fn end_lease(&self, grace: Duration) {
        match timeout(grace, self.operations.end_lease(self.term.id)).await {
            Ok(Ok(())) => tracing::info!(gateway = %self.term.id, "holds no lease any more"),
            Ok(Err(error)) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the lease was not ended");
            }
            Err(_) => tracing::warn!("the lease was not ended in time"),
        }
    }
}
