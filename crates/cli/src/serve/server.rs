//! The composition: which part gets which other part.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use opencpm_api::{Edge, Listener};
use opencpm_domain::Span;
use opencpm_gateway::{Connector, Gateway};
use opencpm_operations::cores::Cores;
use opencpm_operations::port::{Clock, Queue, Random, Store};
use opencpm_operations::quotas::{QuotaSettings, Quotas};
use opencpm_operations::report_proof::Proofs;
use opencpm_operations::role::{ApiRole, GatewayRole, Settings, Trust};
use opencpm_operations::room::Room;
use opencpm_queue::EmbeddedQueue;
use opencpm_store::SqliteStore;
use tokio::net::TcpListener;
use tokio::task::{JoinError, JoinSet};
use tokio::time::sleep;
use tokio_rustls::rustls::ServerConfig;
use tokio_util::sync::CancellationToken;

use super::authority::Current;
use super::deployment::{DATABASE, Deployment, Place};
use super::health::Health;
use super::readiness::Part;
use super::sockets::{Addresses, Sockets};
use super::{ServeError, own_certificate, sweeps, welcome};
use crate::config::{Config, parse_offset};
use crate::files;
use crate::system::clock_and_random;

/// A running service.
pub(crate) struct Server {
    store: Arc<SqliteStore>,
    gateway: Option<Gateway>,
    /// Where it can be reached.
    pub(crate) addresses: Addresses,
    /// Whether this start made the deployment.
    pub(crate) is_first: bool,
    health: Health,
    listeners: JoinSet<()>,
    /// Background work that has nothing to finish.
    endless: JoinSet<()>,
    stop: CancellationToken,
    stop_endless: CancellationToken,
}

/// What several parts share.
struct Shared {
    store: Arc<dyn Store>,
    queue: Arc<dyn Queue>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    trust: Arc<Trust>,
    settings: Settings,
    quotas: QuotaSettings,
    /// How long tasks are kept.
    kept: Span,
}

impl Server {
    /// Takes the sockets, opens or makes the deployment, and begins to serve.
    pub(crate) async fn start(config: Config) -> Result<Self, ServeError> {
        let (clock, random) = clock_and_random();
        files::private_folder(&config.dir)
            .map_err(|error| ServeError::Folder(config.dir.clone(), error))?;
        let mut sockets = Sockets::take(&config).await?;
        let addresses = sockets.addresses(&config)?;
        let health = Health::start(sockets.metrics.take());
        let store = open_store(&config.dir, &clock).await?;
        let place = Place { config: &config, store: &*store, clock, random, addresses: &addresses };
        match Self::assemble(&place, sockets, &store, health).await {
            Ok(server) => Ok(server),
            Err(error) => Err(close_after(&store, error).await),
        }
    }

    async fn assemble(
        place: &Place<'_>,
        sockets: Sockets,
        store: &Arc<SqliteStore>,
        health: Health,
    ) -> Result<Self, ServeError> {
        let config = place.config;
        let addresses = place.addresses.clone();
        let Deployment { keyring, trust, authority, is_first } = Deployment::open(place).await?;
        let certificate = Current::issue(authority, certificate_names(config))?;
        let shared = Shared {
            store: store.clone(),
            queue: Arc::new(EmbeddedQueue::new()),
            clock: Arc::clone(&place.clock),
            random: Arc::clone(&place.random),
            trust: Arc::new(trust),
            settings: config.settings(agents_addresses(config, &addresses)),
            quotas: config.quota.settings(),
            kept: config.retention.kept(),
        };
        let tls = Tls::new(config, &certificate)?;
        welcome::log(&addresses);
        let mut server = Self::new(Arc::clone(store), addresses, is_first, health);
        server.start_sweeps(&shared, certificate);
        let api = Arc::new(shared.api_role(keyring));
        if let Some(socket) = sockets.agents {
            server.start_gateway(&shared, Arc::clone(&api), socket, tls.agents);
        }
        let (clock, random) = (Arc::clone(&shared.clock), Arc::clone(&shared.random));
        let edge = Edge::new(api, clock, random, edge_settings(config, &shared));
        server.start_listener(Listener::tls(sockets.https, &tls.api), &edge);
        if let Some(socket) = sockets.http {
            server.start_listener(Listener::plain(socket), &edge);
        }
        let mut needed = vec![Part::store(&shared.store), Part::queue(&shared.queue)];
        needed.extend(server.connector().map(Part::lease));
        server.health.readiness.serves(needed);
        Ok(server)
    }

    fn new(store: Arc<SqliteStore>, addresses: Addresses, is_first: bool, health: Health) -> Self {
        Self {
            store,
            gateway: None,
            addresses,
            is_first,
            health,
            listeners: JoinSet::new(),
            endless: JoinSet::new(),
            stop: CancellationToken::new(),
            stop_endless: CancellationToken::new(),
        }
    }

    fn start_sweeps(&mut self, shared: &Shared, certificate: Arc<Current>) {
        sweeps::start(&mut self.endless, &shared.store, shared.kept, &self.stop_endless);
        let renewals = certificate.renew_for_ever();
        let stop = self.stop_endless.clone();
        self.endless.spawn(async move {
            stop.run_until_cancelled(renewals).await;
        });
    }

    fn start_gateway(
        &mut self,
        shared: &Shared,
        api: Arc<ApiRole>,
        socket: TcpListener,
        tls: ServerConfig,
    ) {
        self.gateway = Some(Gateway::start(
            opencpm_gateway::Config::default(),
            shared.gateway_role(),
            Some(api),
            socket,
            Arc::new(tls),
            self.stop.clone(),
        ));
    }

    fn start_listener(&mut self, listener: Listener, edge: &Arc<Edge>) {
        self.listeners.spawn(listener.run(Arc::clone(edge), self.stop.clone()));
    }

    /// Connects agents without a socket; `None` without the gateway's role.
    pub(crate) fn connector(&self) -> Option<Connector> {
        self.gateway.as_ref().map(Gateway::connector)
    }

    /// Returns when a part of the service panicked: what is left would serve nobody well.
    pub(crate) async fn broken(&mut self) -> ServeError {
        let error = loop {
            let ended = tokio::select! {
                Some(ended) = self.listeners.join_next() => ended,
                Some(ended) = self.endless.join_next() => ended,
                () = self.store.stopped() => break ServeError::StoreStopped,
                () = gateway_ended(self.gateway.as_ref()) => break ServeError::GatewayEnded,
            };
            if let Err(panic) = ended {
                break ServeError::Panicked(panic);
            }
        };
        self.health.readiness.breaks();
        error
    }

    /// Says that this process is about to end, and gives load balancers this time to notice it.
    pub(crate) async fn give_notice(&self, notice: Duration) {
        self.health.readiness.drains();
        if self.health.is_told() {
            sleep(notice).await;
        }
    }

    /// Finishes what was begun: requests, connections, the database.
    pub(crate) async fn stop(mut self) -> Result<(), ServeError> {
        self.health.readiness.drains();
        self.stop.cancel();
        let mut ended = joined(&mut self.listeners).await;
        if let Some(gateway) = self.gateway {
            ended = ended.and(gateway.finished().await);
        }
        self.stop_endless.cancel();
        ended = ended.and(joined(&mut self.endless).await);
        let closed = self.store.close().await;
        ended.map_err(ServeError::Panicked)?;
        closed.map_err(ServeError::Store)
    }
}

/// Never returns without one.
async fn gateway_ended(gateway: Option<&Gateway>) {
    match gateway {
        Some(gateway) => gateway.ended().await,
        None => std::future::pending().await,
    }
}

/// Waits for all of them; the first panic is the one to tell.
async fn joined(tasks: &mut JoinSet<()>) -> Result<(), JoinError> {
    let mut all = Ok(());
    while let Some(ended) = tasks.join_next().await {
        all = all.and(ended);
    }
    all
}

/// What the listeners show.
struct Tls {
    api: ServerConfig,
    agents: ServerConfig,
}

impl Tls {
    fn new(config: &Config, certificate: &Arc<Current>) -> Result<Self, ServeError> {
        let api = match own_certificate::load(&config.api)? {
            Some(own) => own,
            None => certificate.api_config()?,
        };
        Ok(Self { api, agents: certificate.agents_config()? })
    }
}

impl Shared {
    fn api_role(&self, keyring: opencpm_operations::keyring::Keyring) -> ApiRole {
        ApiRole {
            store: Arc::clone(&self.store),
            queue: Arc::clone(&self.queue),
            clock: Arc::clone(&self.clock),
            random: Arc::clone(&self.random),
            keys: Arc::new(keyring),
            trust: Arc::clone(&self.trust),
            settings: self.settings.clone(),
            proofs: Proofs::default(),
            cores: Cores::default(),
            room: Room::default(),
            quotas: Quotas::new(self.quotas.clone()),
        }
    }

    fn gateway_role(&self) -> GatewayRole {
        GatewayRole {
            store: Arc::clone(&self.store),
            queue: Arc::clone(&self.queue),
            clock: Arc::clone(&self.clock),
            random: Arc::clone(&self.random),
            trust: Arc::clone(&self.trust),
            gateways: self.settings.gateways.clone(),
        }
    }
}

fn edge_settings(config: &Config, shared: &Shared) -> opencpm_api::Settings {
    let api = &config.api;
    opencpm_api::Settings {
        policy: shared.settings.policy,
        clock_window: Span::from_secs(api.clock_window),
        at_sign_rule: api.at_sign_rule,
        unsigned_payload: api.unsigned_payload,
        hosts: api.hosts.clone(),
        offset: parse_offset(&api.time_offset).unwrap_or(jiff::tz::Offset::UTC),
        limits: opencpm_api::Limits::default(),
    }
}

async fn open_store(dir: &Path, clock: &Arc<dyn Clock>) -> Result<Arc<SqliteStore>, ServeError> {
    let path = dir.join(DATABASE);
    let opened = SqliteStore::open(&path, Arc::clone(clock)).await;
    opened.map(Arc::new).map_err(|error| ServeError::Database(path, error))
}

/// The first error is the one to tell.
async fn close_after(store: &SqliteStore, error: ServeError) -> ServeError {
    if let Err(second) = store.close().await {
        tracing::warn!(error = crate::output::chain(&second), "the database did not close well");
    }
    error
}

/// Names of the deployment's certificate: the API's, and those under which agents come.
fn certificate_names(config: &Config) -> Vec<String> {
    let mut names = config.api.names.clone();
    let agents = config.agents.addresses.iter().filter_map(|address| address.rsplit_once(':'));
    for (host, _) in agents {
        let host = host.trim_matches(['[', ']']).to_owned();
        if !names.contains(&host) {
            names.push(host);
        }
    }
    names
}

/// What agents are told, unless the operator says otherwise: the first name and the port.
fn agents_addresses(config: &Config, addresses: &Addresses) -> Vec<String> {
    let given = config.agents.addresses.clone();
    match addresses.agents {
        Some(agents) if given.is_empty() => {
            vec![host_and_port(&config.api.names, agents.port())]
        }
        _ => given,
    }
}

/// The first name, in brackets where it is an IPv6 address, and the port.
pub(super) fn host_and_port(names: &[String], port: u16) -> String {
    let name = names.first().map_or("localhost", String::as_str);
    if name.contains(':') { format!("[{name}]:{port}") } else { format!("{name}:{port}") }
}
