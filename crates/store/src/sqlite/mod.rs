//! The embedded engine: one SQLite file, open in one process.

pub(crate) mod moved;
pub(crate) mod open;
mod scrub;
mod writer;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use opencpm_domain::Timestamp;
use opencpm_operations::port::{Clock, StoreError};
use opencpm_operations::row::DeviceQuery;
use sqlx::Connection;
use sqlx::sqlite::SqlitePool;

use crate::engine::{Engine, Outcome, Way, When};
use crate::session::{Meter, Session, store_error};
use crate::statements::{device_list, gateway};

#[cfg(test)]
pub(crate) use open::MIGRATIONS;
pub use open::OpenError;
use writer::Writer;

/// One SQLite file, open in one process: several readers and one writer with group commit.
pub struct SqliteStore {
    clock: Arc<dyn Clock>,
    readers: SqlitePool,
    writer: Writer,
    meter: Arc<Meter>,
}

impl SqliteStore {
    /// Opens the file, made where it is absent (mode 0600, in a directory with mode 0700), and
    /// brings its schema up to date. Leases are judged by the clock; those of a former process end
    /// here.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] with an [`OpenError`] when another process has the file open,
    /// it cannot be made, or it was copied to another database; [`StoreError::Corrupt`] when it is no database of ours;
    /// [`StoreError::Newer`] when a newer version made it.
    pub async fn open(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let opened = open::open(path).await?;
        let meter = Arc::new(Meter::default());
        // Nobody knows what the process before left.
        meter.set_remains(true);
        let session = Session::writer(opened.writer, Arc::clone(&meter));
        let writer = Writer::start(session, opened.lock);
        let store = Self { clock, readers: opened.readers, writer, meter };
        match store.end_leases().await {
            Ok(()) => Ok(store),
            Err(error) => {
                // The first error is the one to tell.
                let _ = store.close().await;
                Err(error)
            }
        }
    }

    /// Takes up again a file that was copied to another database; false where it was not. What has
    /// happened there since is not known here.
    ///
    /// # Errors
    /// As [`Self::open`], and [`OpenError::Absent`], [`OpenError::Older`].
    pub async fn reopen(path: &Path) -> Result<bool, StoreError> {
        let (lock, mut connection) = open::open_as_it_is(path).await?;
        let was_moved = moved::target(&mut connection).await?.is_some();
        moved::unmark(&mut connection).await?;
        connection.close().await.map_err(store_error)?;
        drop(lock);
        Ok(was_moved)
    }

    /// The lock is ours, so whoever held a lease is gone.
    async fn end_leases(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.writer.write(move |s| Box::pin(gateway::end_all(s, now))).await
    }

    /// Finishes what was begun and closes the file. Fails when the writer did not end well.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.readers.close().await;
        self.writer.close().await
    }

    /// Returns when nothing can be written any more: after [`Self::close`], and when the writer
    /// panicked.
    pub async fn stopped(&self) {
        self.writer.stopped().await;
    }

    /// How many SQL statements were run since the store was opened.
    pub fn statements(&self) -> u64 {
        self.meter.statements()
    }

    /// How SQLite would look for devices: the steps of its plan for both statements of a query, to
    /// see which filters are served by an index.
    pub async fn device_list_plan(&self, query: &DeviceQuery) -> Result<Vec<String>, StoreError> {
        device_list::plan(&mut Engine::read(self).await?, query).await
    }
}

#[async_trait]
impl Engine for SqliteStore {
    async fn read(&self) -> Result<Session, StoreError> {
        let transaction = self.readers.begin().await.map_err(store_error)?;
        Ok(Session::reader(transaction, Arc::clone(&self.meter)))
    }

    async fn write<T, F>(&self, _: Way, change: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'s> Fn(&'s mut Session) -> BoxFuture<'s, Result<Outcome<T>, StoreError>>
            + Send
            + Sync
            + 'static,
    {
        self.writer.write(change).await
    }

    fn when(&self) -> When {
        When::Asked(self.clock.now())
    }

    async fn check(&self) -> Result<Timestamp, StoreError> {
        // Behind the changes that wait, and with the lock that a change needs.
        self.writer.write(|_| Box::pin(async { Ok(Outcome::Keep(())) })).await?;
        Ok(self.clock.now())
    }

    async fn scrub(&self) -> Result<bool, StoreError> {
        scrub::scrub(&self.writer, &self.meter).await
    }
}
