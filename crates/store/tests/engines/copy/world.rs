//! A file that is going to be copied, and an empty database for it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use opencpm_domain::{InstanceId, TaskId};
use opencpm_operations::port::Store;
use opencpm_operations::row::Acceptance;
use opencpm_store::{CopiedTable, CopyError, SqliteStore, StoreCopy};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, Row};
use tempfile::TempDir;
use tokio::task::spawn_blocking;

use crate::contract::world::{GATEWAY, nonce, span};
use crate::contract::{Backend, HandClock, fleet, id, new_task, next, prepare, succeeded};
use crate::postgres::world::{Database, Server};
use crate::sqlite::world::open;

/// The move of one deployment.
pub(super) struct Move {
    pub(super) file: PathBuf,
    pub(super) database: Database,
    pub(super) clock: Arc<HandClock>,
    _home: TempDir,
}

/// A task that has ended, and one that is open.
pub(super) const FINISHED: u64 = 100;
pub(super) const OPEN: u64 = 101;

/// The nonce of the open task's request.
pub(super) const USED: u64 = 4711;

impl Move {
    /// A file with three devices, a task that has ended and one that is open, and an empty database
    /// with a schema.
    pub(super) async fn new() -> Self {
        Self::to(spawn_blocking(|| Database::new(Server::Shared)).await.unwrap()).await
    }

    /// The same to this database.
    pub(super) async fn to(database: Database) -> Self {
        let home = TempDir::new().unwrap();
        let file = home.path().join("opencpm.db");
        let clock = HandClock::new();
        let store = open(&file, &clock).await;
        work(&(store.clone() as Arc<dyn Store>), &clock).await;
        store.close().await.unwrap();
        Self { file, database, clock, _home: home }
    }

    pub(super) async fn prepare(&self) -> Result<StoreCopy, CopyError> {
        StoreCopy::prepare(&self.file, self.database.options()).await
    }

    pub(super) async fn copy(&self) -> Result<Vec<CopiedTable>, CopyError> {
        self.prepare().await?.run().await
    }

    /// Opens the file as a service does.
    pub(super) async fn serve_file(
        &self,
    ) -> Result<SqliteStore, opencpm_operations::port::StoreError> {
        SqliteStore::open(&self.file, self.clock.clone()).await
    }

    /// Opens the other database as a service does.
    pub(super) async fn serve_database(&mut self) -> Arc<dyn Store> {
        self.database.open(&self.clock.clone()).await
    }

    /// Runs statements on the file behind everybody's back.
    pub(super) async fn sqlite(&self, sql: &str) {
        let mut connection = self.connect().await;
        connection.execute(AssertSqlSafe(sql.to_owned())).await.unwrap();
        connection.close().await.unwrap();
    }

    /// Runs statements in the other database behind everybody's back.
    pub(super) fn postgres(&self, sql: &str) -> String {
        self.database.server().sql(self.database.name(), sql)
    }

    /// Whether there is a row of a deployment in the other database.
    pub(super) fn is_empty(&self) -> bool {
        let tables = self.postgres(
            "SELECT string_agg(format('SELECT FROM %I', tablename), ' UNION ALL ')
             FROM pg_tables WHERE schemaname = 'public'
                AND tablename NOT IN ('_sqlx_migrations', 'schema_compatibility')",
        );
        self.postgres(&format!("SELECT count(*) FROM ({tables}) AS line")) == "0"
    }

    async fn connect(&self) -> SqliteConnection {
        let options = SqliteConnectOptions::new().filename(&self.file).foreign_keys(false);
        options.connect().await.unwrap()
    }

    /// The columns of each table of the file.
    pub(super) async fn columns(&self) -> BTreeMap<String, Vec<String>> {
        let select = "SELECT line.name, field.name FROM pragma_table_list AS line,
                pragma_table_info(line.name) AS field
             WHERE line.schema = 'main' AND line.type = 'table'
                AND line.name NOT IN ('sqlite_schema', 'sqlite_sequence', '_sqlx_migrations', 'moved')
             ORDER BY line.name, field.name";
        let mut connection = self.connect().await;
        let mut tables: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for row in connection.fetch_all(select).await.unwrap() {
            tables.entry(row.get(0)).or_default().push(row.get(1));
        }
        connection.close().await.unwrap();
        tables
    }

    /// Each row of a table of the file as text, in the order of these texts.
    pub(super) async fn file_rows(&self, table: &str, columns: &[String]) -> Vec<String> {
        let text = |column: &String| {
            format!(
                "coalesce(iif(typeof(\"{column}\") = 'blob', lower(hex(\"{column}\")),
                CAST(\"{column}\" AS TEXT)), 'null')"
            )
        };
        let line = columns.iter().map(text).collect::<Vec<_>>().join(" || '|' || ");
        let select = format!("SELECT {line} FROM \"{table}\"");
        let mut connection = self.connect().await;
        let rows = connection.fetch_all(AssertSqlSafe(select)).await.unwrap();
        connection.close().await.unwrap();
        sorted(rows.iter().map(|row| row.get(0)).collect())
    }

    /// The same for the other database.
    pub(super) async fn database_rows(&self, table: &str, columns: &[String]) -> Vec<String> {
        let mut connection = self.database.behind_its_back().await;
        let kinds = "SELECT column_name::text, data_type::text FROM information_schema.columns
             WHERE table_schema = 'public' AND table_name = $1 ORDER BY column_name COLLATE \"C\"";
        let kinds: Vec<(String, String)> =
            sqlx::query_as(kinds).bind(table).fetch_all(&mut connection).await.unwrap();
        assert_eq!(
            kinds.iter().map(|(name, _)| name).collect::<Vec<_>>(),
            columns.iter().collect::<Vec<_>>(),
            "{table}"
        );
        let text = |(name, kind): &(String, String)| {
            let value = match kind.as_str() {
                "bytea" => format!("encode(\"{name}\", 'hex')"),
                "boolean" => format!("\"{name}\"::int::text"),
                _ => format!("\"{name}\"::text"),
            };
            format!("coalesce({value}, 'null')")
        };
        let line = kinds.iter().map(text).collect::<Vec<_>>().join(" || '|' || ");
        let select = format!("SELECT {line} FROM \"{table}\"");
        let rows = connection.fetch_all(AssertSqlSafe(select)).await.unwrap();
        sorted(rows.iter().map(|row| row.get(0)).collect())
    }
}

fn sorted(mut rows: Vec<String>) -> Vec<String> {
    rows.sort();
    rows
}

/// What a service does with its store.
async fn work(store: &Arc<dyn Store>, clock: &HandClock) {
    use opencpm_operations::port::Clock as _;
    let now = clock.now();
    prepare(store, now).await;
    let ids: Vec<InstanceId> = ["cpm-a", "cpm-b", "cpm-c"].map(id).into();
    fleet(store, &ids, now).await;
    let task = new_task(store, FINISHED, &ids, now).await;
    assert_eq!(store.accept(task.into()).await.unwrap(), Acceptance::Accepted);
    let (_, jobs) = store.task(TaskId::new(FINISHED).unwrap()).await.unwrap().unwrap();
    let ends = jobs.iter().map(|job| next(job, succeeded(now))).collect();
    assert_eq!(store.change_jobs(ends, Some(GATEWAY)).await.unwrap().len(), ids.len());
    let mut task = new_task(store, OPEN, &ids[..2], now).await;
    task.unique = Some(nonce(USED, now + span(600)));
    assert_eq!(store.accept(task.into()).await.unwrap(), Acceptance::Accepted);
}
