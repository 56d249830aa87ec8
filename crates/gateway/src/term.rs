//! A term: from taking a lease under a new id until that lease ends.

use std::sync::Arc;
use std::time::Duration;

use opencpm_domain::{GatewayId, InstanceId};
use opencpm_operations::connect::Arrival;
use opencpm_operations::port::StoreError;
use opencpm_operations::record_reports::Delivered;
use opencpm_operations::record_sealing_keys::NewSealingKey;
use opencpm_protocol::message::Farewell;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clerk::{self, Batches};
use crate::config::Config;
use crate::line::{Command, Line};
use crate::operations::Operations;
use crate::registry::Registry;

/// What sessions reach for. The channels have no bound of their own: each session makes one claim,
/// asks for one bind, and for few records at a time.
pub(crate) struct Term {
    pub(crate) id: GatewayId,
    /// Whether devices may connect, besides machines that enrol and nodes that join.
    pub(crate) takes_devices: bool,
    pub(crate) registry: Registry,
    pub(crate) claims: UnboundedSender<Claim>,
    pub(crate) binds: UnboundedSender<BindRequest>,
    pub(crate) unbinds: UnboundedSender<(InstanceId, u64)>,
    pub(crate) reports: UnboundedSender<Sent<Delivered>>,
    pub(crate) sealing_keys: UnboundedSender<Sent<NewSealingKey>>,
    /// Devices that just connected: they may have jobs.
    pub(crate) arrivals: UnboundedSender<InstanceId>,
    /// The lease ended. Nothing is recorded any more.
    pub(crate) over: CancellationToken,
    /// Nobody is taken in any more.
    pub(crate) draining: CancellationToken,
    /// Everybody is sent away. Who ends now stays bound until it is bound elsewhere.
    pub(crate) leaving: CancellationToken,
    /// Ends every session without a word. Each has a child of it.
    pub(crate) cut: CancellationToken,
    pub(crate) sessions: TaskTracker,
}

impl Term {
    /// Of a process that holds no devices: without a lease, and nobody works for it.
    pub(crate) fn without_devices() -> Self {
        Self {
            id: GatewayId::from_bytes([0; 16]),
            takes_devices: false,
            registry: Registry::default(),
            claims: unbounded_channel().0,
            binds: unbounded_channel().0,
            unbinds: unbounded_channel().0,
            reports: unbounded_channel().0,
            sealing_keys: unbounded_channel().0,
            arrivals: unbounded_channel().0,
            over: CancellationToken::new(),
            draining: CancellationToken::new(),
            leaving: CancellationToken::new(),
            cut: CancellationToken::new(),
            sessions: TaskTracker::new(),
        }
    }

    /// How to say goodbye at the end of the term.
    pub(crate) fn farewell(&self) -> Farewell {
        if self.over.is_cancelled() { Farewell::Unavailable } else { Farewell::Draining }
    }

    /// A farewell to whoever is still there, then the cut.
    pub(crate) async fn close_sessions(&self, grace: Duration) {
        let farewell = self.farewell();
        let lines = self.registry.lines();
        lines.iter().for_each(|line| line.tell(Command::Dismiss(farewell)));
        self.sessions.close();
        // The rest is too slow to be waited for.
        let _ = timeout(grace, self.sessions.wait()).await;
        self.cut.cancel();
        self.sessions.wait().await;
    }

    /// The store refused. When it has ended the lease, the term is over.
    pub(crate) fn refused(&self, what: &'static str, error: &StoreError) {
        tracing::warn!(error = error as &dyn std::error::Error, what, "the store refuses");
        if matches!(error, StoreError::LeaseEnded) {
            self.over.cancel();
        }
    }
}

/// A hello came that says to be of this device.
pub(crate) struct Claim {
    pub(crate) line: Line,
    pub(crate) instance: InstanceId,
}

/// A device whose hello verified asks for its place.
pub(crate) struct BindRequest {
    pub(crate) line: Line,
    pub(crate) arrival: Box<Arrival>,
}

/// Something that a device sent, and who is to hear when it is kept.
pub(crate) struct Sent<T> {
    pub(crate) line: Line,
    pub(crate) what: T,
}

/// A device's place at this gateway. Dropping it unbinds the connection, whatever ended it, until
/// the gateway itself leaves.
pub(crate) struct Seat {
    pub(crate) term: Arc<Term>,
    pub(crate) instance: InstanceId,
    pub(crate) epoch: u64,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.term.registry.remove(&self.instance, self.epoch);
        if self.term.leaving.is_cancelled() {
            return;
        }
        // Fails only when the term is over, and then the lease tells that nobody is bound.
        let _ = self.term.unbinds.send((self.instance.clone(), self.epoch));
    }
}

/// A running term and those who work for it.
pub(crate) struct RunningTerm {
    pub(crate) term: Arc<Term>,
    pub(crate) operations: Arc<dyn Operations>,
    /// Recognise, bind, record and deliver.
    pub(crate) clerks: JoinSet<()>,
    pub(crate) stop: CancellationToken,
    /// Unbinds: works until the others are done.
    pub(crate) usher: JoinSet<()>,
    pub(crate) stop_usher: CancellationToken,
    /// Renews the lease.
    pub(crate) keeper: JoinSet<()>,
}

impl RunningTerm {
    /// Starts the clerks of a term whose lease was just taken by a call made at `taken`.
    pub(crate) fn start(
        id: GatewayId,
        taken: tokio::time::Instant,
        config: &Config,
        operations: &Arc<dyn Operations>,
    ) -> Self {
        let (stop, stop_usher) = (CancellationToken::new(), CancellationToken::new());
        let (claims, hellos) = unbounded_channel();
        let (binds, bind_requests) = unbounded_channel();
        let (unbinds, leavers) = unbounded_channel();
        let (reports, sent_reports) = unbounded_channel();
        let (sealing_keys, sent_keys) = unbounded_channel();
        let (arrivals, arrived) = unbounded_channel();
        let term = Arc::new(Term {
            id,
            takes_devices: true,
            registry: Registry::default(),
            claims,
            binds,
            unbinds,
            reports,
            sealing_keys,
            arrivals,
            over: CancellationToken::new(),
            draining: CancellationToken::new(),
            leaving: CancellationToken::new(),
            cut: CancellationToken::new(),
            sessions: TaskTracker::new(),
        });
        let with = || (Arc::clone(&term), Arc::clone(operations));
        let mut clerks = JoinSet::new();
        let ((t, o), b) = (with(), Batches::new(hellos, stop.clone()));
        clerks.spawn(clerk::recognise::run(t, o, b));
        let ((t, o), b) = (with(), Batches::new(bind_requests, stop.clone()));
        clerks.spawn(clerk::bind::run(t, o, b));
        let ((t, o), b) = (with(), Batches::new(sent_reports, stop.clone()));
        clerks.spawn(clerk::record::reports(t, o, b));
        let ((t, o), b) = (with(), Batches::new(sent_keys, stop.clone()));
        clerks.spawn(clerk::record::sealing_keys(t, o, b));
        let ((t, o), b) = (with(), Batches::new(arrived, stop.clone()));
        clerks.spawn(clerk::deliver::run(t, o, b, config.clone(), stop.clone()));
        let mut usher = JoinSet::new();
        let ((t, o), b) = (with(), Batches::new(leavers, stop_usher.clone()));
        usher.spawn(clerk::unbind::run(t, o, b));
        let mut keeper = JoinSet::new();
        let (t, o) = with();
        keeper.spawn(crate::lease::keep(t, o, taken));
        let operations = Arc::clone(operations);
        Self { term, operations, clerks, stop, usher, stop_usher, keeper }
    }

    /// Ends when the term cannot go on: the lease ended, or somebody who works for it panicked.
    pub(crate) async fn over(&mut self) {
        tokio::select! {
            () = self.term.over.cancelled() => {}
            ended = self.clerks.join_next() => report(ended),
            ended = self.usher.join_next() => report(ended),
            ended = self.keeper.join_next() => report(ended),
        }
    }
}

/// Waits for all of them.
pub(crate) async fn join(tasks: &mut JoinSet<()>) {
    while let Some(ended) = tasks.join_next().await {
        report(Some(ended));
    }
}

/// A panic is not lost.
fn report(ended: Option<Result<(), JoinError>>) {
    if let Some(Err(error)) = ended
        && error.is_panic()
    {
        tracing::error!("a task of the gateway panicked");
    }
}
