//! Somebody with write access to the database file.

use std::path::{Path, PathBuf};

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection, Row};

/// The lab's database, opened behind the server's back.
pub struct Database {
    path: PathBuf,
    runtime: tokio::runtime::Runtime,
}

impl Database {
    /// Finds the database below a lab's directory.
    pub fn below(dir: &Path) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let path = find(dir).expect("a database below the lab's directory");
        Self { path, runtime: runtime.expect("a runtime") }
    }

    /// Runs statements of the tests' own making.
    pub fn execute(&self, sql: &str) {
        self.runtime.block_on(async {
            let mut connection = self.connect().await;
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.expect(sql);
        });
    }

    /// The first column of the first row, as text.
    pub fn text(&self, sql: &str) -> String {
        self.first(sql)
    }

    /// The first column of the first row, as bytes.
    pub fn bytes(&self, sql: &str) -> Vec<u8> {
        self.first(sql)
    }

    /// Keeps every other hand from writing until it is dropped.
    pub fn hold(&self) -> Hold {
        self.runtime.block_on(async {
            let mut connection = self.connect().await;
            sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut connection).await.expect("the lock");
            Hold { _connection: connection }
        })
    }

    fn first<T>(&self, sql: &str) -> T
    where
        T: for<'r> sqlx::Decode<'r, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>,
    {
        self.runtime.block_on(async {
            let mut connection = self.connect().await;
            let row = sqlx::query(AssertSqlSafe(sql)).fetch_one(&mut connection).await.expect(sql);
            let value = row.get::<T, _>(0);
            drop(row);
            // A connection that stays would keep the server from cutting its log.
            connection.close().await.expect("it closes");
            value
        })
    }

    async fn connect(&self) -> SqliteConnection {
        let options = SqliteConnectOptions::new()
            .filename(&self.path)
            .foreign_keys(false)
            .busy_timeout(std::time::Duration::from_secs(20));
        SqliteConnection::connect_with(&options).await.expect("the database opens")
    }
}

/// See [`Database::hold`].
pub struct Hold {
    _connection: SqliteConnection,
}

fn find(dir: &Path) -> Option<PathBuf> {
    let entries: Vec<_> = std::fs::read_dir(dir).ok()?.flatten().map(|e| e.path()).collect();
    let database = |path: &&PathBuf| path.extension().is_some_and(|e| e == "db" || e == "sqlite");
    entries
        .iter()
        .find(database)
        .cloned()
        .or_else(|| entries.iter().filter(|path| path.is_dir()).find_map(|path| find(path)))
}
