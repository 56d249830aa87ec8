//! The engine for several nodes: a PostgreSQL database that they share.

pub(crate) mod connect;
mod options;
mod pulse;
mod quota;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::{BoxFuture, join};
use opencpm_domain::Timestamp;
use opencpm_operations::port::StoreError;
use sqlx::PgPool;
use tokio::time::{sleep, timeout};

use crate::column::read;
use crate::engine::{Engine, Outcome, Way, When};
use crate::session::{Meter, Session, store_error};
use crate::statement::query;

pub use connect::{Migration, SchemaError};
pub use options::{OptionsError, PostgresOptions};
pub(crate) use pulse::Listener;
use pulse::Pulse;

/// A PostgreSQL database, through a pool of connections.
pub struct PostgresStore {
    pool: PgPool,
    /// For leases and looks at the store's health: a few connections for which no slow statement
    /// ever has to be waited.
    reserve: PgPool,
    pulse: Pulse,
    meter: Arc<Meter>,
}

/// Connections of the reserve: a gateway renews one lease, and somebody asks how the store is.
const RESERVE: u32 = 2;

/// For goodbyes.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

/// A scrub takes no longer.
const SCRUB_LIMIT: Duration = Duration::from_secs(30);

/// A change that met another one is made again so often at most.
const ROUNDS: u32 = 8;

impl PostgresStore {
    /// Connects to a database whose schema this version can work with.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] with a [`SchemaError`] where the schema is absent or older;
    /// [`StoreError::Newer`] where a newer version made it that this one cannot run beside;
    /// [`StoreError::Corrupt`] where the database belongs to another program;
    /// [`StoreError::Unavailable`] where the server cannot be reached.
    pub async fn connect(options: &PostgresOptions) -> Result<Self, StoreError> {
        let pool = connect::pool(options, options.connections).await?;
        let mut connection = pool.acquire().await.map_err(store_error)?;
        connect::check_schema(&mut connection).await?;
        drop(connection);
        let reserve = connect::pool(options, RESERVE).await?;
        let pulse = Pulse::start(options.connect());
        Ok(Self { pool, reserve, pulse, meter: Arc::default() })
    }

    /// Closes the connections.
    pub async fn close(&self) -> Result<(), StoreError> {
        // A server that does not answer is not waited for.
        drop(timeout(CLOSE_LIMIT, join(self.pool.close(), self.reserve.close())).await);
        Ok(())
    }

    /// How many SQL statements were run since the store was opened.
    pub fn statements(&self) -> u64 {
        self.meter.statements()
    }

    /// The migrations that the database does not have yet.
    pub async fn pending(options: &PostgresOptions) -> Result<Vec<Migration>, StoreError> {
        connect::pending(options).await
    }

    /// Brings the schema up to date. Nodes of the former version go on. A database with tables of
    /// another program is left alone.
    pub async fn migrate(options: &PostgresOptions) -> Result<(), StoreError> {
        connect::migrate(options).await
    }

    async fn begin(&self, pool: &PgPool, statement: &'static str) -> Result<Session, StoreError> {
        let mut listener = self.pulse.listen();
        let transaction = listener.guard(pool.begin_with(statement), store_error).await?;
        Ok(Session::postgres(transaction, listener, Arc::clone(&self.meter)))
    }

    async fn attempt<T, F>(&self, pool: &PgPool, change: &F) -> Result<T, StoreError>
    where
        F: for<'s> Fn(&'s mut Session) -> BoxFuture<'s, Result<Outcome<T>, StoreError>> + Sync,
    {
        let mut session = self.begin(pool, "BEGIN").await?;
        match change(&mut session).await? {
            Outcome::Keep(value) => session.commit().await.map(|()| value),
            Outcome::Undo(value) => session.close().await.map(|()| value),
        }
    }
}

#[async_trait]
impl Engine for PostgresStore {
    /// One snapshot, also for what follows the first statement.
    async fn read(&self) -> Result<Session, StoreError> {
        self.begin(&self.pool, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await
    }

    async fn write<T, F>(&self, way: Way, change: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'s> Fn(&'s mut Session) -> BoxFuture<'s, Result<Outcome<T>, StoreError>>
            + Send
            + Sync
            + 'static,
    {
        let pool = match way {
            Way::Ordinary => &self.pool,
            Way::Reserved => &self.reserve,
        };
        let mut round = 1;
        loop {
            match self.attempt(pool, &change).await {
                Err(error) if round < ROUNDS && met_another(&error) => {
                    tracing::debug!(round, "a change met another one and is made again");
                    sleep(pause(round)).await;
                    round += 1;
                }
                result => return result,
            }
        }
    }

    fn when(&self) -> When {
        When::Server
    }

    async fn check(&self) -> Result<Timestamp, StoreError> {
        let mut session = self.begin(&self.reserve, "BEGIN").await?;
        let ask = query(
            "SELECT current_setting('transaction_read_only')::boolean AS is_closed,
                    store_now() AS now",
        );
        let row = session.row(ask).await?;
        let row = row.ok_or(StoreError::Corrupt("a setting without a value"))?;
        let (is_closed, now): (bool, _) = (read(&row, "is_closed")?, read(&row, "now")?);
        session.close().await?;
        if is_closed {
            Err(StoreError::Unavailable("the database is read-only".into()))
        } else {
            Ok(now)
        }
    }

    async fn scrub(&self) -> Result<bool, StoreError> {
        // The space of deleted rows is used again once the table is vacuumed; PostgreSQL does not
        // overwrite it (decision 0032). A vacuum that finds another one at work leaves it alone.
        let vacuum = sqlx::query("VACUUM (SKIP_LOCKED, INDEX_CLEANUP ON, TRUNCATE ON) sealed");
        match timeout(SCRUB_LIMIT, vacuum.execute(&self.pool)).await {
            Ok(done) => done.map(|_| true).map_err(store_error),
            Err(_) => Ok(false),
        }
    }
}

/// Another change was in the way: a deadlock, a serialization failure, a large change that held its
/// rows for long, or a row of the same name at the same moment. Made again, this one sees what the
/// other has done.
fn met_another(error: &StoreError) -> bool {
    let StoreError::Unavailable(source) = error else { return false };
    let source = source.downcast_ref::<sqlx::Error>().and_then(sqlx::Error::as_database_error);
    let code = source.and_then(sqlx::error::DatabaseError::code);
    // https://www.postgresql.org/docs/15/errcodes-appendix.html
    code.is_some_and(|code| ["40001", "40P01", "55P03", "23505"].contains(&code.as_ref()))
}

/// Longer with each round, and never the same for two: else they meet again.
fn pause(round: u32) -> Duration {
    let mut random = [0; 1];
    // Without randomness the pause is the shortest.
    let _ = getrandom::fill(&mut random);
    Duration::from_micros(u64::from(random[0]) * 20 * u64::from(round))
}
