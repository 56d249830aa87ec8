use opencpm_domain::{Generation, JobId};
use opencpm_operations::connect::Candidate;
use opencpm_protocol::message::{Farewell, JobFrame, Welcome};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::term::Seat;

/// Commands that wait for a session at most. Room for every acknowledgement it may still get,
/// a job and a farewell.
const WAITING: usize = 16;

/// What the gateway tells a session.
pub(crate) enum Command {
    /// The device is known, and may prove that it is itself.
    Recognised(Box<Candidate>),
    /// The connection is the device's own now.
    Bound(Box<Seat>, Box<Welcome>),
    /// A job; its attempt is committed.
    Deliver(Box<JobFrame>),
    /// A report or a sealing key was dealt with; `None` when there is nothing to acknowledge.
    Settled(Option<Kept>),
    /// Ask the device to move to another gateway.
    Move,
    /// Say goodbye.
    Dismiss(Farewell),
}

/// What can be acknowledged, after its commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kept {
    Report(JobId),
    SealingKey(Generation),
}

/// The way to a session from outside.
#[derive(Clone)]
pub(crate) struct Line {
    commands: mpsc::Sender<Command>,
    cut: CancellationToken,
}

impl Line {
    /// A line, and the session's end of it. `cut` ends the session without a word.
    pub(crate) fn new(cut: CancellationToken) -> (Self, mpsc::Receiver<Command>) {
        let (commands, receiver) = mpsc::channel(WAITING);
        (Self { commands, cut }, receiver)
    }

    /// Never waits: a session that is too slow to take this is cut. Whatever it was, it is found
    /// in the store again.
    pub(crate) fn tell(&self, command: Command) {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.commands.try_send(command) {
            self.cut.cancel();
        }
    }

    /// Ends when the session is to end without a word.
    pub(crate) async fn cut(&self) {
        self.cut.cancelled().await;
    }
}
