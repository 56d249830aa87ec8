//! The store that the configuration asks for, and where all nodes keep what keys used of their
//! quotas.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use opencpm_domain::Span;
use opencpm_operations::lease;
use opencpm_operations::port::{Clock, QuotaLedger, Store, StoreError};
use opencpm_operations::quotas::InMemoryLedger;
use opencpm_store::{
    CopiedTable, Migration, PostgresOptions, PostgresStore, SchemaError, SqliteStore, StoreCopy,
};
use tokio::time::sleep;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::{Error as PemError, PemObject};

use super::ServeError;
use super::deployment::DATABASE;
use crate::config::{Config, Remote, Role, secret_line};
use crate::output::chain;

/// Between two attempts to reach the database.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// An open store.
#[derive(Clone)]
pub(super) enum Database {
    /// In the folder, for this process alone.
    Sqlite(Arc<SqliteStore>),
    /// Shared with other nodes.
    Postgres(Arc<PostgresStore>),
}

impl Database {
    /// Opens it. A database of another machine may be away when everything starts at once: it is
    /// waited for.
    pub(super) async fn open(config: &Config, clock: &Arc<dyn Clock>) -> Result<Self, ServeError> {
        match &config.store.url {
            Some(url) => {
                let options = options(&config.store, url)?;
                let makes_schema = config.has(Role::Api);
                connect(&options, makes_schema).await.map(Arc::new).map(Self::Postgres)
            }
            None => {
                let path = config.dir.join(DATABASE);
                let opened = SqliteStore::open(&path, Arc::clone(clock)).await;
                let opened = opened.map_err(|error| ServeError::Database(path, error))?;
                Ok(Self::Sqlite(Arc::new(opened)))
            }
        }
    }

    /// As the operations see it.
    pub(super) fn port(&self) -> Arc<dyn Store> {
        match self {
            Self::Sqlite(store) => store.clone(),
            Self::Postgres(store) => store.clone(),
        }
    }

    /// Where it is kept what keys used of their quotas: for all nodes together.
    pub(super) fn ledger(&self) -> Arc<dyn QuotaLedger> {
        match self {
            Self::Sqlite(_) => Arc::new(InMemoryLedger::default()),
            Self::Postgres(store) => store.clone(),
        }
    }

    /// How long a gateway's lease lasts in it.
    pub(super) const fn lease(&self) -> Span {
        match self {
            Self::Sqlite(_) => lease::ALONE,
            Self::Postgres(_) => lease::SHARED,
        }
    }

    /// How a gateway over it works. Where nobody else has the store, there is no other gateway to
    /// move to.
    pub(super) fn gateway(&self) -> opencpm_gateway::Config {
        let usual = opencpm_gateway::Config::default();
        match self {
            Self::Sqlite(_) => opencpm_gateway::Config { hand_over: Duration::ZERO, ..usual },
            Self::Postgres(_) => usual,
        }
    }

    /// Returns when nothing can be written any more, for a reason that lies in this process.
    pub(super) async fn stopped(&self) {
        match self {
            Self::Sqlite(store) => store.stopped().await,
            Self::Postgres(_) => std::future::pending().await,
        }
    }

    /// Finishes what was begun.
    pub(super) async fn close(&self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(store) => store.close().await,
            Self::Postgres(store) => store.close().await,
        }
    }
}

/// Fails where the files cannot be used that the configuration names for the database.
pub(super) fn check(config: &Config) -> Result<(), ServeError> {
    let Some(url) = &config.store.url else { return Ok(()) };
    options(&config.store, url)?;
    let Some(file) = &config.store.ca else { return Ok(()) };
    let read = CertificateDer::pem_file_iter(file).and_then(|mut certificates| {
        certificates.next().ok_or(PemError::NoItemsFound)??;
        certificates.try_for_each(|certificate| certificate.map(drop))
    });
    read.map_err(|error| ServeError::Authorities(file.clone(), error))
}

/// The schema of a PostgreSQL database.
pub(crate) struct Schema(PostgresOptions);

impl Schema {
    /// That of the configuration's; `None` where the store is SQLite.
    pub(crate) fn of(config: &Config) -> Result<Option<Self>, ServeError> {
        let url = config.store.url.as_ref();
        url.map(|url| options(&config.store, url).map(Self)).transpose()
    }

    /// The steps that are not done yet.
    pub(crate) async fn pending(&self) -> Result<Vec<Migration>, ServeError> {
        PostgresStore::pending(&self.0).await.map_err(ServeError::Store)
    }

    /// Does them.
    pub(crate) async fn migrate(&self) -> Result<(), ServeError> {
        PostgresStore::migrate(&self.0).await.map_err(ServeError::Store)
    }
}

/// The way from the file in the folder to the configured PostgreSQL database. Nobody else opens the
/// file while it is there.
pub(crate) struct Copy {
    copy: StoreCopy,
    from: PathBuf,
    to: String,
}

impl Copy {
    /// Looks at both and changes neither.
    pub(crate) async fn prepare(config: &Config) -> Result<Self, ServeError> {
        let url = config.store.url.as_ref().ok_or(ServeError::NoTarget)?;
        let options = options(&config.store, url)?;
        let (from, to) = (config.dir.join(DATABASE), options.place());
        Ok(Self { copy: StoreCopy::prepare(&from, options).await?, from, to })
    }

    /// The tables, and how many rows each has.
    pub(crate) async fn tables(&mut self) -> Result<Vec<(String, u64)>, ServeError> {
        Ok(self.copy.tables().await?)
    }

    /// Does it.
    pub(crate) async fn run(self) -> Result<Vec<CopiedTable>, ServeError> {
        Ok(self.copy.run().await?)
    }
}

/// From where to where.
impl fmt::Display for Copy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let schema = if self.copy.makes_schema() { ", which gets its schema" } else { "" };
        write!(f, "  from  {}\n  to    {}{schema}", self.from.display(), self.to)
    }
}

/// Takes up again a file that was copied; false where it was not.
pub(crate) async fn reopen(config: &Config) -> Result<bool, ServeError> {
    let path = config.dir.join(DATABASE);
    let reopened = SqliteStore::reopen(&path).await;
    reopened.map_err(|error| ServeError::Database(path, error))
}

/// How to reach a PostgreSQL database.
fn options(remote: &Remote, url: &str) -> Result<PostgresOptions, ServeError> {
    let password = match &remote.password_file {
        Some(file) => Some(secret_line(file).map_err(|e| ServeError::Secret(file.clone(), e))?),
        None => None,
    };
    let options = PostgresOptions::parse(url, password.as_ref()).map_err(ServeError::StoreUrl)?;
    Ok(match &remote.ca {
        Some(file) => options.with_authority(file.clone()),
        None => options,
    })
}

/// An empty database gets its schema from the first API node; what else it lacks is for an
/// administrator to decide.
async fn connect(
    options: &PostgresOptions,
    makes_schema: bool,
) -> Result<PostgresStore, ServeError> {
    let mut pause = FIRST_PAUSE;
    loop {
        let error = match PostgresStore::connect(options).await {
            Ok(store) => return Ok(store),
            Err(error) => error,
        };
        match schema_error(&error) {
            Some(SchemaError::Absent) if makes_schema => {
                tracing::info!("the database is empty: it gets its schema");
                PostgresStore::migrate(options).await.map_err(ServeError::Store)?;
                continue;
            }
            Some(SchemaError::Older { .. } | SchemaError::Encoding) => {
                return Err(ServeError::Store(error));
            }
            _ if matches!(error, StoreError::Newer { .. } | StoreError::Corrupt(_)) => {
                return Err(ServeError::Store(error));
            }
            _ => tracing::warn!(
                error = chain(&error),
                seconds = pause.as_secs(),
                "the database cannot be used yet; trying again"
            ),
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn schema_error(error: &StoreError) -> Option<SchemaError> {
    let StoreError::Unavailable(source) = error else { return None };
    source.downcast_ref().copied()
}
