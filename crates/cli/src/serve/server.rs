//! The composition: which part gets which other part.

use std::sync::Arc;
use std::time::Duration;

use opencpm_api::{Edge, Listener};
use opencpm_domain::Span;
use opencpm_gateway::{Connector, Gateway};
use opencpm_operations::cores::Cores;
use opencpm_operations::keyring::Keyring;
use opencpm_operations::port::{Clock, Queue, Random, Store};
use opencpm_operations::quotas::Quotas;
use opencpm_operations::report_proof::Proofs;
use opencpm_operations::role::{ApiRole, GatewayRole, LiveTrust, Settings, Trust, TrustError};
use opencpm_operations::room::Room;
use tokio::task::{JoinError, JoinSet};
use tokio::time::sleep;
use tokio_rustls::rustls::ServerConfig;
use tokio_util::sync::CancellationToken;

use super::authority::Authority;
use super::broker::Broker;
use super::certificate::{Current, OwnCertificate};
use super::database::Database;
use super::deployment::{Deployment, Place};
use super::health::Health;
use super::names::{agents_addresses, certificate_names};
use super::node::{self, Membership};
use super::readiness::Part;
use super::sockets::{Addresses, Sockets};
use super::{ServeError, own_certificate, sweeps, welcome};
use crate::config::{Config, Role, parse_offset};
use crate::files;
use crate::system::clock_and_random;

/// A running service.
pub(crate) struct Server {
    database: Database,
    broker: Broker,
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
    /// Those of the API; they outlive the gateway.
    stop_listeners: CancellationToken,
    stop_endless: CancellationToken,
}

/// What several parts share.
struct Shared {
    store: Arc<dyn Store>,
    queue: Arc<dyn Queue>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    trust: Arc<LiveTrust>,
    settings: Settings,
    /// How long a gateway's lease lasts.
    lease: Span,
}

/// What a process is in its deployment.
enum Standing {
    /// It has the deployment's keys.
    Api(Box<Deployment>),
    /// It joined, and has none.
    Node(Box<Membership>),
}

impl Server {
    /// Takes the sockets, opens or makes the deployment, or joins one, and begins to serve.
    pub(crate) async fn start(config: Config) -> Result<Self, ServeError> {
        let (clock, random) = clock_and_random();
        files::private_folder(&config.dir)
            .map_err(|error| ServeError::Folder(config.dir.clone(), error))?;
        let mut sockets = Sockets::take(&config).await?;
        let addresses = sockets.addresses(&config)?;
        let health = Health::start(sockets.metrics.take());
        let database = Database::open(&config, &clock).await?;
        let store = database.port();
        let place = Place { config: &config, store: &*store, clock, random, addresses: &addresses };
        match Self::assemble(&place, sockets, &database, health).await {
            Ok(server) => Ok(server),
            Err(error) => Err(close_after(&database, error).await),
        }
    }

    async fn assemble(
        place: &Place<'_>,
        sockets: Sockets,
        database: &Database,
        health: Health,
    ) -> Result<Self, ServeError> {
        let config = place.config;
        let (standing, trust) = match config.has(Role::Api) {
            true => {
                let deployment = Deployment::open(place).await?;
                let trust = deployment.trust.clone();
                (Standing::Api(Box::new(deployment)), trust)
            }
            false => join(place).await?,
        };
        let broker = Broker::open(config, trust.deployment()).await?;
        let (agents, enrolment) = agents_addresses(config, place.addresses);
        let shared = Shared {
            store: database.port(),
            queue: broker.port(),
            clock: Arc::clone(&place.clock),
            random: Arc::clone(&place.random),
            trust: Arc::new(LiveTrust::new(trust)),
            settings: config.settings(agents, enrolment),
            lease: database.lease(),
        };
        let is_first = matches!(&standing, Standing::Api(deployment) if deployment.is_first);
        welcome::log(place.addresses);
        let mut server =
            Self::new(database.clone(), broker, place.addresses.clone(), is_first, health);
        server.start_sweeps(&shared, config.retention.kept());
        match standing {
            Standing::Api(deployment) => {
                server.start_api(place, &shared, *deployment, sockets)?;
            }
            Standing::Node(member) => server.start_node(&shared, *member, sockets)?,
        }
        let mut needed = Vec::new();
        if config.has(Role::Api) {
            needed.push(Part::store_and_clock(&shared.store, &shared.clock));
            needed.push(Part::queue(&shared.queue));
        } else {
            needed.push(Part::store(&shared.store));
        }
        if config.has(Role::Gateway) {
            needed.extend(server.connector().map(Part::lease));
        }
        server.health.readiness.serves(needed);
        Ok(server)
    }

    fn new(
        database: Database,
        broker: Broker,
        addresses: Addresses,
        is_first: bool,
        health: Health,
    ) -> Self {
        Self {
            database,
            broker,
            gateway: None,
            addresses,
            is_first,
            health,
            listeners: JoinSet::new(),
            endless: JoinSet::new(),
            stop: CancellationToken::new(),
            stop_listeners: CancellationToken::new(),
            stop_endless: CancellationToken::new(),
        }
    }

    fn start_sweeps(&mut self, shared: &Shared, kept: Span) {
        sweeps::start(&mut self.endless, &shared.store, &shared.trust, kept, &self.stop_endless);
    }

    /// Work that ends with the process.
    fn start_endless(&mut self, work: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop_endless.clone();
        self.endless.spawn(async move {
            stop.run_until_cancelled(work).await;
        });
    }

    /// The API role, and the gateway's where the process has it, too; else machines enrol and nodes
    /// join at the agents' listener.
    fn start_api(
        &mut self,
        place: &Place<'_>,
        shared: &Shared,
        deployment: Deployment,
        sockets: Sockets,
    ) -> Result<(), ServeError> {
        let config = place.config;
        let authority = Arc::new(deployment.authority);
        let names = certificate_names(config);
        let clock = Arc::clone(&shared.clock);
        let own = OwnCertificate { authority: Arc::clone(&authority), names, clock };
        let (certificate, renew) = own.issue()?;
        let tls = Tls::new(config, &certificate)?;
        self.start_endless(own.renew_for_ever(certificate, renew));
        let ledger = self.database.ledger();
        let quotas = Quotas::new(config.quota.settings(), ledger);
        let api = Arc::new(shared.api_role(deployment.keyring, authority, quotas));
        let (settings, role) = (self.database.gateway(), shared.gateway_role());
        let (own, agents, stop) = (Arc::clone(&api), Arc::new(tls.agents), self.stop.clone());
        self.gateway = Some(if config.has(Role::Gateway) {
            Gateway::start(settings, role, Some(own), sockets.agents, agents, stop)
        } else {
            Gateway::start_reception(settings, role, own, sockets.agents, agents, stop)
        });
        let (clock, random) = (Arc::clone(&shared.clock), Arc::clone(&shared.random));
        let edge = Edge::new(api, clock, random, edge_settings(config, shared));
        if let Some(socket) = sockets.https {
            self.start_listener(Listener::tls(socket, &tls.api), &edge);
        }
        if let Some(socket) = sockets.http {
            self.start_listener(Listener::plain(socket), &edge);
        }
        Ok(())
    }

    /// The gateway's role alone.
    fn start_node(
        &mut self,
        shared: &Shared,
        member: Membership,
        sockets: Sockets,
    ) -> Result<(), ServeError> {
        let tls = member.certificate.agents_config()?;
        self.start_endless(member.renew_for_ever());
        self.gateway = Some(Gateway::start(
            self.database.gateway(),
            shared.gateway_role(),
            None,
            sockets.agents,
            Arc::new(tls),
            self.stop.clone(),
        ));
        Ok(())
    }

    fn start_listener(&mut self, listener: Listener, edge: &Arc<Edge>) {
        self.listeners.spawn(listener.run(Arc::clone(edge), self.stop_listeners.clone()));
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
                () = self.database.stopped() => break ServeError::StoreStopped,
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
        // While the machines move, their resets are still accepted.
        self.stop.cancel();
        let mut ended = Ok(());
        if let Some(gateway) = self.gateway {
            ended = gateway.finished().await;
        }
        self.stop_listeners.cancel();
        ended = ended.and(joined(&mut self.listeners).await);
        self.stop_endless.cancel();
        ended = ended.and(joined(&mut self.endless).await);
        self.broker.close().await;
        let closed = self.database.close().await;
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
    fn api_role(&self, keyring: Keyring, issuer: Arc<Authority>, quotas: Quotas) -> ApiRole {
        ApiRole {
            store: Arc::clone(&self.store),
            queue: Arc::clone(&self.queue),
            clock: Arc::clone(&self.clock),
            random: Arc::clone(&self.random),
            keys: Arc::new(keyring),
            issuer,
            trust: Arc::clone(&self.trust),
            settings: self.settings.clone(),
            proofs: Proofs::default(),
            cores: Cores::default(),
            room: Room::default(),
            quotas,
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
            lease: self.lease,
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

/// Joins the deployment, or opens what an earlier start left of that, and reads what the root key
/// says.
async fn join(place: &Place<'_>) -> Result<(Standing, Trust), ServeError> {
    let member = Membership::open(node::Place {
        dir: &place.config.dir,
        token_file: place.config.node.token_file.as_deref(),
        clock: Arc::clone(&place.clock),
        random: Arc::clone(&place.random),
    });
    let member = member.await?;
    let row = place.store.deployment().await.map_err(ServeError::Store)?;
    let trust = Trust::load(&row.ok_or(ServeError::NoDeployment)?, member.root());
    let trust = trust.map_err(ServeError::Trust)?;
    if trust.deployment() != member.deployment() {
        return Err(ServeError::Trust(TrustError::OtherDeployment));
    }
    Ok((Standing::Node(Box::new(member)), trust))
}

/// The first error is the one to tell.
async fn close_after(database: &Database, error: ServeError) -> ServeError {
    if let Err(second) = database.close().await {
        tracing::warn!(error = crate::output::chain(&second), "the database did not close well");
    }
    error
}
