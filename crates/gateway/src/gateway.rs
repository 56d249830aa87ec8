use std::sync::Arc;

use opencpm_operations::role::{ApiRole, GatewayRole};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinError, JoinHandle};
use tokio::time::Instant;
use tokio_rustls::rustls::ServerConfig;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::lease;
use crate::listener::{self, Admission};
use crate::operations::Operations;
use crate::roles::Roles;
use crate::session::{Session, Transport};
use crate::term::{RunningTerm, Term};

/// Holds the connections of agents: one for each process with the role.
pub struct Gateway {
    shared: Arc<Shared>,
    running: JoinHandle<()>,
}

/// What connections need before they belong to a term.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) operations: Arc<dyn Operations>,
    /// Peers that have not proved yet which device they are.
    pub(crate) handshakes: Arc<Semaphore>,
    /// Greetings and sessions.
    pub(crate) tasks: TaskTracker,
    term: watch::Receiver<Option<Arc<Term>>>,
    shutdown: CancellationToken,
}

impl Gateway {
    /// Starts a gateway and returns; it works until `shutdown`, then drains. Where the process has
    /// the API role too, `enrolment` is that role.
    ///
    /// See [`Self::start_with`] for the rest.
    pub fn start(
        config: Config,
        gateway: GatewayRole,
        enrolment: Option<Arc<ApiRole>>,
        listener: TcpListener,
        tls: Arc<ServerConfig>,
        shutdown: CancellationToken,
    ) -> Self {
        let roles = Arc::new(Roles { gateway, enrolment });
        Self::start_with(config, roles, listener, tls, shutdown)
    }

    /// The same over any operations.
    ///
    /// For little memory a connection, `tls` should keep no sessions: a
    /// `NoServerSessionStorage`, and `send_tls13_tickets` 0.
    pub fn start_with(
        config: Config,
        operations: Arc<dyn Operations>,
        listener: TcpListener,
        tls: Arc<ServerConfig>,
        shutdown: CancellationToken,
    ) -> Self {
        let (announce, term) = watch::channel(None);
        let shared = Shared::new(config, operations, term, &shutdown);
        let listening = listener::listen(Arc::clone(&shared), listener, tls, shutdown);
        let running = tokio::spawn(run(Arc::clone(&shared), announce, listening));
        Self { shared, running }
    }

    /// The agents' listener of a process with the API role and without the gateway's: machines
    /// enrol there and nodes join, and a device that connects is told that others hold devices.
    /// Works until `shutdown`.
    pub fn start_reception(
        config: Config,
        gateway: GatewayRole,
        enrolment: Arc<ApiRole>,
        listener: TcpListener,
        tls: Arc<ServerConfig>,
        shutdown: CancellationToken,
    ) -> Self {
        let operations = Arc::new(Roles { gateway, enrolment: Some(enrolment) });
        let (announce, term) = watch::channel(Some(Arc::new(Term::without_devices())));
        let shared = Shared::new(config, operations, term, &shutdown);
        let listening = listener::listen(Arc::clone(&shared), listener, tls, shutdown);
        let running = tokio::spawn(receive(Arc::clone(&shared), announce, listening));
        Self { shared, running }
    }

    /// Holds the conversation with one agent over `transport`, such as one end of a
    /// [`Pipe`](crate::Pipe), until it ends. Waits while too many handshakes are unfinished.
    pub async fn serve_stream(&self, transport: impl Transport) {
        self.connector().serve_stream(transport).await;
    }

    /// Makes connections without a socket, from any task.
    pub fn connector(&self) -> Connector {
        Connector(Arc::clone(&self.shared))
    }

    /// Live devices now.
    pub fn connected(&self) -> usize {
        self.shared.term.borrow().as_ref().map_or(0, |term| term.registry.len())
    }

    /// Returns when the gateway has ended: after its shutdown, or because it panicked.
    pub async fn ended(&self) {
        let mut term = self.shared.term.clone();
        while term.changed().await.is_ok() {}
    }

    /// Waits until the gateway has drained and every task of it has ended. Fails when it panicked.
    pub async fn finished(self) -> Result<(), JoinError> {
        self.running.await
    }
}

/// See [`Gateway::connector`].
#[derive(Clone)]
pub struct Connector(Arc<Shared>);

impl Connector {
    /// Whether the gateway holds a valid lease now, so that it takes agents in and records what
    /// they report.
    pub fn holds_lease(&self) -> bool {
        let term = &self.0.term;
        // Without a sender the gateway has ended, and nobody renews what it left here.
        term.has_changed().is_ok()
            && term.borrow().as_ref().is_some_and(|term| !term.over.is_cancelled())
    }

    /// See [`Gateway::serve_stream`].
    pub async fn serve_stream(&self, transport: impl Transport) {
        let handshakes = Arc::clone(&self.0.handshakes);
        let Ok(permit) = handshakes.acquire_owned().await else { return };
        self.0.serve(transport, Admission::new(permit), Instant::now()).await;
    }
}

impl Shared {
    fn new(
        config: Config,
        operations: Arc<dyn Operations>,
        term: watch::Receiver<Option<Arc<Term>>>,
        shutdown: &CancellationToken,
    ) -> Arc<Self> {
        Arc::new(Self {
            handshakes: Arc::new(Semaphore::new(config.handshakes.get())),
            config,
            operations,
            tasks: TaskTracker::new(),
            term,
            shutdown: shutdown.clone(),
        })
    }

    /// Waits for everybody who still works.
    async fn end(&self, listening: JoinHandle<()>) {
        if listening.await.is_err() {
            tracing::error!("the listener panicked");
        }
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Holds a conversation within the current term, once there is one.
    pub(crate) async fn serve(
        self: &Arc<Self>,
        transport: impl Transport,
        admission: Admission,
        accepted: Instant,
    ) {
        let mut terms = self.term.clone();
        let current = self.shutdown.run_until_cancelled(terms.wait_for(Option::is_some)).await;
        let Some(Ok(Some(term))) = current.map(|term| term.map(|term| term.clone())) else {
            return;
        };
        let session = Session {
            transport,
            term: Arc::clone(&term),
            operations: Arc::clone(&self.operations),
            write_limit: self.config.write_limit,
            accepted,
            admission: Some(admission),
        };
        term.sessions.track_future(Box::pin(session.run())).await;
    }
}

/// One term after the other, until the shutdown.
async fn run(
    shared: Arc<Shared>,
    announce: watch::Sender<Option<Arc<Term>>>,
    listening: impl Future<Output = ()> + Send + 'static,
) {
    let listening = tokio::spawn(listening);
    let Shared { config, operations, shutdown, .. } = &*shared;
    while let Some((id, taken)) = shutdown.run_until_cancelled(lease::take(&**operations)).await {
        tracing::info!(gateway = %id, "holds a lease");
        let mut running = RunningTerm::start(id, taken, config, operations);
        announce.send_replace(Some(Arc::clone(&running.term)));
        let lost = shutdown.run_until_cancelled(running.over()).await;
        announce.send_replace(None);
        match lost {
            Some(()) => running.abandon(config.drain).await,
            None => running.drain(config).await,
        }
    }
    shared.end(listening).await;
}

/// One term without devices, until the shutdown.
async fn receive(
    shared: Arc<Shared>,
    announce: watch::Sender<Option<Arc<Term>>>,
    listening: impl Future<Output = ()> + Send + 'static,
) {
    let listening = tokio::spawn(listening);
    shared.shutdown.cancelled().await;
    if let Some(term) = announce.send_replace(None) {
        term.draining.cancel();
        term.close_sessions(shared.config.drain).await;
    }
    shared.end(listening).await;
}
