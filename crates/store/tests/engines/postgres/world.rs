//! A fresh database of a real PostgreSQL server for each test of the contract.

use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use opencpm_operations::port::Store;
use opencpm_servers::Postgres;
use opencpm_store::{PostgresOptions, PostgresStore};
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use crate::contract::{Backend, HandClock, World};

/// On the server that all tests share.
pub(crate) async fn world() -> World {
    let database = spawn_blocking(|| Database::new(Server::Shared)).await.unwrap();
    World::new(Box::new(database)).await
}

/// On a server of its own, which may be killed.
pub(crate) async fn mortal_world() -> World {
    let own = spawn_blocking(|| Database::new(Server::Own(Box::new(Postgres::start()))));
    World::new(Box::new(own.await.unwrap())).await
}

pub(crate) enum Server {
    Shared,
    Own(Box<Postgres>),
}

/// Far longer than anybody may wait, on a machine that is busy with tests.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Returns when so many wait for what this connection holds.
pub(crate) async fn awaited_by(holder: &mut PgConnection, number: i64) {
    const WAITING: &str = "SELECT count(*) FROM pg_locks
        WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))";
    counts(holder, WAITING, |waiting| waiting >= number).await;
}

/// Returns when what this query counts is so. The server tells nobody of what it counts by itself.
pub(crate) async fn counts(line: &mut PgConnection, query: &'static str, so: impl Fn(i64) -> bool) {
    let counted = async {
        while !so(sqlx::query_scalar(query).fetch_one(&mut *line).await.unwrap()) {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, counted).await.unwrap();
}

/// A migrated database, and the store that is open on it.
pub(crate) struct Database {
    server: Server,
    name: String,
    open: Option<Arc<PostgresStore>>,
}

impl Database {
    /// Made as a copy of one that was migrated once for the whole server.
    pub(crate) fn new(server: Server) -> Self {
        static TEMPLATE: OnceLock<()> = OnceLock::new();
        let database = Self::named(server);
        match &database.server {
            Server::Shared => TEMPLATE.get_or_init(|| make_template(Postgres::shared())),
            Server::Own(server) => &make_template(server),
        };
        database.server().create_database(&database.name, Some("template_store"));
        database
    }

    /// Nobody has migrated it.
    pub(crate) fn empty(server: Server) -> Self {
        let database = Self::named(server);
        database.server().create_database(&database.name, None);
        database
    }

    fn named(server: Server) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        Self { server, name, open: None }
    }

    pub(crate) fn server(&self) -> &Postgres {
        match &self.server {
            Server::Shared => Postgres::shared(),
            Server::Own(server) => server,
        }
    }

    /// One that nobody else uses.
    pub(crate) fn own_server(&mut self) -> &mut Postgres {
        match &mut self.server {
            Server::Shared => panic!("others use the server"),
            Server::Own(server) => server,
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn options(&self) -> PostgresOptions {
        options(self.server(), &self.name)
    }

    /// The store that is open on it.
    pub(crate) fn store(&self) -> Arc<PostgresStore> {
        Arc::clone(self.open.as_ref().unwrap())
    }

    /// Closes the store that is open on it.
    pub(crate) async fn close(&mut self) {
        self.open.take().unwrap().close().await.unwrap();
    }

    /// A connection that the store knows nothing of.
    pub(crate) async fn behind_its_back(&self) -> PgConnection {
        let options: PgConnectOptions = self.server().url(&self.name).parse().unwrap();
        options.password(self.server().password()).connect().await.unwrap()
    }

    /// The database's clock reads a file that the test's clock writes.
    fn show(&self, clock: &HandClock) {
        let file = self.server().data().join(format!("clock-{}", self.name));
        let read = format!(
            "CREATE OR REPLACE FUNCTION store_now() RETURNS BIGINT LANGUAGE sql VOLATILE
             AS $$ SELECT pg_read_file('{}')::bigint $$",
            file.display()
        );
        clock.tell(move |now| {
            let next = file.with_extension("next");
            fs::write(&next, now.as_micros().to_string()).unwrap();
            fs::rename(&next, &file).unwrap();
        });
        self.server().sql(&self.name, &read);
    }
}

fn make_template(server: &Postgres) {
    server.create_database("template_store", None);
    let options = options(server, "template_store");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(PostgresStore::migrate(&options)).unwrap();
}

fn options(server: &Postgres, database: &str) -> PostgresOptions {
    let password = server.password().into();
    let mut options = PostgresOptions::parse(&server.url(database), Some(&password)).unwrap();
    // Many tests run at once on one server.
    options.connections = 4;
    options
}

#[async_trait]
impl Backend for Database {
    async fn open(&mut self, clock: &Arc<HandClock>) -> Arc<dyn Store> {
        match self.open.take() {
            Some(store) => store.close().await.unwrap(),
            None => self.show(clock),
        }
        let store = Arc::new(PostgresStore::connect(&self.options()).await.unwrap());
        self.open = Some(Arc::clone(&store));
        store
    }

    async fn crash(&mut self, _: &Arc<HandClock>) -> Arc<dyn Store> {
        self.own_server().kill();
        self.own_server().start_again();
        let store = Arc::new(PostgresStore::connect(&self.options()).await.unwrap());
        self.open = Some(Arc::clone(&store));
        store
    }
}
