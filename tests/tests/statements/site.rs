use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use opencpm_api::{Edge, Listener};
use opencpm_deployment::{Door, Parts};
use opencpm_domain::{Span, TaskId, TaskStatus, Timestamp};
use opencpm_fleet::{Fleet, Plan, Seed};
use opencpm_gateway::{Config, Connector, Gateway, Roles};
use opencpm_operations::administer::MadeKey;
use opencpm_operations::port::{Clock, Store};
use opencpm_operations::role::ApiRole;
use opencpm_protocol::token::EnrolmentToken;
use opencpm_store::SqliteStore;
use opencpm_tests::eventually;
use secrecy::ExposeSecret;
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::server::ResolvesServerCertUsingSni;
use tokio_util::sync::CancellationToken;

use crate::client::{Client, Dialect};

/// For the largest fleet to do its jobs, on a slow machine.
const PATIENCE: Duration = Duration::from_secs(1_800);

/// No time passes at a site: no lease ends and nothing is due, however long a request takes.
struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_secs(1_800_000_000)
    }
}

/// A deployment in this process with a fleet that is connected to it.
pub(crate) struct Site {
    runtime: Runtime,
    store: Arc<SqliteStore>,
    key: MadeKey,
    /// An edge for each dialect.
    authorities: [String; 2],
    listeners: Vec<JoinHandle<()>>,
    gateway: Gateway,
    door: Arc<Door>,
    fleet: Fleet,
    instances: Vec<String>,
    shutdown: CancellationToken,
    _files: TempDir,
}

impl Site {
    /// Starts everything, and enrols and connects so many devices.
    pub(crate) fn start(devices: u32) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let files = tempfile::tempdir().expect("a directory");
        let database = runtime.block_on(open(files.path()));
        let (parts, key) =
            runtime.block_on(Parts::make(Arc::<SqliteStore>::clone(&database), Arc::new(Still)));
        let shutdown = CancellationToken::new();
        // What one has checked the other has not: each checks the reports of its own tasks, and
        // remembers all of them.
        let apis = [parts.api(), parts.api()];
        let door = {
            let gateway = parts.gateway(Span::from_secs(86_400));
            let enrolment = Some(Arc::clone(&apis[0]));
            Arc::new(Door::new(Roles { gateway, enrolment }))
        };
        let gateway = runtime.block_on(start_gateway(Arc::clone(&door), &shutdown));
        let mut listeners = Vec::new();
        let authorities = apis.map(|api| {
            let (authority, running) = runtime.block_on(listen(api, &shutdown));
            listeners.push(running);
            authority
        });
        let token = token(devices, &client(&authorities, &key, Dialect::V2));
        let fleet = runtime.block_on(enrol(devices, &token, gateway.connector()));
        let instances = fleet.instances.iter().map(|id| id.as_str().to_owned()).collect();
        Self {
            runtime,
            store: database,
            key,
            authorities,
            listeners,
            gateway,
            door,
            fleet,
            instances,
            shutdown,
            _files: files,
        }
    }

    /// Every device.
    pub(crate) fn instances(&self) -> &[String] {
        &self.instances
    }

    /// Asks at the dialect's own edge.
    pub(crate) fn client(&self, dialect: Dialect) -> Client {
        client(&self.authorities, &self.key, dialect)
    }

    /// How many SQL statements a request takes, while the gateway stands still.
    pub(crate) fn count<T>(&self, request: impl FnOnce() -> T) -> (T, u64) {
        let _closed = self.runtime.block_on(self.door.close());
        let before = self.store.statements();
        let answer = request();
        (answer, self.store.statements() - before)
    }

    /// Waits for a task's end, and has no report of it checked.
    pub(crate) fn wait(&self, task: u64) {
        let task = TaskId::new(task).expect("a task");
        eventually("the task's end", PATIENCE, || {
            let found = self.runtime.block_on(self.store.task(task)).expect("a store");
            let (_, jobs) = found.expect("it was accepted");
            let status: TaskStatus = jobs.iter().map(|job| job.state.status()).collect();
            status.is_finished().then_some(())
        });
    }

    /// Ends in good order: nothing of it panicked.
    pub(crate) fn stop(self) {
        self.runtime.block_on(async {
            self.fleet.stop().await.expect("no device panicked");
            self.shutdown.cancel();
            self.gateway.finished().await.expect("the gateway did not panic");
            for listener in self.listeners {
                listener.await.expect("no listener panicked");
            }
            self.store.close().await.expect("the writer did not panic");
        });
    }
}

fn client(authorities: &[String; 2], key: &MadeKey, dialect: Dialect) -> Client {
    Client {
        dialect,
        authority: authorities[dialect as usize].clone(),
        secret_id: key.secret_id.as_str().to_owned(),
        secret_key: key.secret_key.expose_secret().to_owned(),
        now: Still.now().as_secs(),
    }
}

async fn open(folder: &Path) -> Arc<SqliteStore> {
    let path = folder.join("data").join("store.db");
    Arc::new(SqliteStore::open(&path, Arc::new(Still)).await.expect("a new database"))
}

/// A gateway behind a door. Its own time stands still, too, as far as a test can last.
async fn start_gateway(door: Arc<Door>, shutdown: &CancellationToken) -> Gateway {
    let day = Duration::from_secs(86_400);
    let config = Config {
        sweep: day,
        redelivery: day,
        hand_over: Duration::ZERO,
        drain: Duration::from_millis(20),
        ..Config::default()
    };
    let socket = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    // No certificate: every device is in this process.
    let tls = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider's own")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(ResolvesServerCertUsingSni::new()));
    Gateway::start_with(config, door, socket, Arc::new(tls), shutdown.clone())
}

/// The API on a port of its own.
async fn listen(api: Arc<ApiRole>, shutdown: &CancellationToken) -> (String, JoinHandle<()>) {
    let (clock, random) = (Arc::clone(&api.clock), Arc::clone(&api.random));
    let edge = Edge::new(api, clock, random, opencpm_api::Settings::default());
    let socket = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let authority = socket.local_addr().expect("it is bound").to_string();
    (authority, tokio::spawn(Listener::plain(socket).run(edge, shutdown.clone())))
}

/// What enrols so many devices, ordered as anybody would.
fn token(devices: u32, client: &Client) -> EnrolmentToken {
    let order = [(["appId", "AppId"], json!(1)), (["uses", "Uses"], json!(devices))];
    let made = client.ask(["CreateEnrolmentToken"; 2], &order);
    let token = made[client.dialect.of(["token", "Token"])].as_str().expect("a token");
    EnrolmentToken::parse(token).expect("a token as it was made")
}

async fn enrol(devices: u32, token: &EnrolmentToken, connector: Connector) -> Fleet {
    let plan = Plan { devices, seed: Seed::from_bytes([7; 32]), faults: Vec::new() };
    let dial = move |wire| {
        let connector = connector.clone();
        async move { connector.serve_stream(wire).await }
    };
    Fleet::start(plan, token, || Still.now(), dial).await.expect("all are welcome")
}
