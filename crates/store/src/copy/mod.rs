//! From the embedded engine to the one for several nodes: everything that an SQLite file holds goes
//! to an empty PostgreSQL database, in one transaction, and is compared before the commit.
//!
//! What is copied is what the two databases say that they have, so no table and no column can be
//! forgotten: where they do not agree, nothing is copied. The file is marked as the past first and
//! the other database is committed then, so at no moment are there two that a service would start
//! on. Why so: decision 0060.

mod catalogue;
mod rows;
mod source;
mod target;

use std::collections::BTreeSet;
use std::path::Path;

use futures_util::{Stream, TryStreamExt};
use opencpm_domain::to_hex;
use opencpm_operations::port::StoreError;
use sha2::{Digest, Sha256};

use crate::postgres::PostgresOptions;
use catalogue::Table;
use source::Source;
use target::{Filling, Target};

/// Why nothing was copied, or why it is not known whether it was.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The file.
    #[error("the SQLite database cannot be copied")]
    Source(#[source] StoreError),
    /// The file has no deployment.
    #[error("the SQLite database holds no deployment: there is nothing to copy")]
    Empty,
    /// The file was copied to another database than this one.
    #[error(
        "the SQLite database was copied to {0} before: take it up again with opencpm store reopen \
         if nothing is served from there"
    )]
    Moved(String),
    /// The other database.
    #[error("the PostgreSQL database cannot be copied to")]
    Target(#[source] StoreError),
    /// The other database has the same deployment already.
    #[error(
        "the PostgreSQL database holds this deployment already: it was copied before. Start the \
         service with store.url"
    )]
    Done,
    /// The other database has the same deployment, and the file does not say that it is from here.
    #[error(
        "the PostgreSQL database holds this deployment, but the SQLite database is not marked as \
         copied: it was taken up again since, or is a backup. Give another, empty database to copy \
         to, or drop this one if it is out of date and nothing is served from it"
    )]
    GoneOn,
    /// The other database is used.
    #[error(
        "the PostgreSQL database is not empty: it has rows in the table {0}. Everything goes to an \
         empty one, or nothing"
    )]
    Occupied(String),
    /// A column that only one of the databases has, or that is of another kind in it.
    #[error("the schemas of the two databases differ at {0}: this version cannot copy")]
    Schemas(String),
    /// A value that the other database has no place for.
    #[error("the column {column} of the table {table} holds {what}")]
    Value {
        /// Its table.
        table: String,
        /// Its column.
        column: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// What was read back is not what was sent.
    #[error("the table {0} is not the same in both databases after the copy: nothing was kept")]
    Differs(String),
    /// The answer to the commit did not come.
    #[error(
        "it is not known whether everything was copied: run it again, and it does it or says that \
         it is done"
    )]
    Unknown(#[source] StoreError),
}

/// A table, and what both databases have in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopiedTable {
    /// Its name.
    pub name: String,
    /// How many rows.
    pub rows: u64,
    /// SHA-256, in hexadecimal, of the rows in the order of their keys, in the form of PostgreSQL's
    /// binary `COPY`.
    pub checksum: String,
}

/// A copy that is about to be made. Nobody else opens the file while it is there.
pub struct StoreCopy {
    source: Source,
    options: PostgresOptions,
    target: Target,
}

impl StoreCopy {
    /// Looks at both databases and changes neither.
    ///
    /// # Errors
    /// Whatever in [`CopyError`] can be known before.
    pub async fn prepare(file: &Path, options: PostgresOptions) -> Result<Self, CopyError> {
        let mut source = Source::open(file).await?;
        let deployment = source.deployment().await?.ok_or(CopyError::Empty)?;
        let moved_to = source.moved_to().await?;
        if let Some(place) = moved_to.as_ref().filter(|place| **place != options.place()) {
            return Err(CopyError::Moved(place.clone()));
        }
        let mut target = Target::connect(&options).await?;
        match target.deployment().await? {
            None => Ok(Self { source, options, target }),
            Some(other) if other != deployment => Err(CopyError::Occupied("deployment".into())),
            Some(_) if moved_to.is_some() => Err(CopyError::Done),
            Some(_) => Err(CopyError::GoneOn),
        }
    }

    /// Whether the other database has no schema yet, so that it gets one.
    pub fn makes_schema(&self) -> bool {
        !self.target.is_made()
    }

    /// The tables of the file, and how many rows each has.
    pub async fn tables(&mut self) -> Result<Vec<(String, u64)>, CopyError> {
        let columns = self.source.catalogue().await?;
        let names: BTreeSet<_> = columns.into_iter().map(|column| column.table).collect();
        let mut tables = Vec::with_capacity(names.len());
        for name in names.into_iter().filter(|name| catalogue::is_copied(name)) {
            let rows = self.source.count(&name).await?;
            tables.push((name, rows));
        }
        Ok(tables)
    }

    /// Copies everything, compares it, marks the file and commits.
    ///
    /// # Errors
    /// See [`CopyError`]. Unless it is [`CopyError::Unknown`], nothing has changed but that an empty
    /// database may have got its schema. As after that one, what a process that was killed has done
    /// is told by the next copy.
    pub async fn run(mut self) -> Result<Vec<CopiedTable>, CopyError> {
        self.target.make_schema(&self.options).await?;
        let there = self.target.catalogue().await?;
        let tables = catalogue::agree(there, &self.source.catalogue().await?)?;
        self.source.begin().await?;
        let mut filling = self.target.fill(&tables).await?;
        for table in &tables {
            filling.take(table, self.source.rows(table)).await?;
        }
        let mut copied = Vec::with_capacity(tables.len());
        for table in &tables {
            copied.push(compared(table, &mut self.source, &mut filling).await?);
        }
        for table in &tables {
            if let Some(counter) = &table.counter {
                filling
                    .count_on(table, counter, self.source.highest(table, counter).await?)
                    .await?;
            }
        }
        filling.end_leases().await?;
        self.source.commit_as_past(&self.options.place()).await?;
        filling.commit().await?;
        if let Err(error) = self.source.close().await {
            // Everything is there, and the file says so.
            tracing::warn!(error = &error as &dyn std::error::Error, "not closed");
        }
        copied.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(copied)
    }
}

/// Reads a table again in both databases.
async fn compared(
    table: &Table,
    source: &mut Source,
    filling: &mut Filling<'_>,
) -> Result<CopiedTable, CopyError> {
    let rows = source.count(&table.name).await?;
    let checksum = checksum(source.rows(table)).await?;
    let is_same = filling.count(table).await? == rows
        && self::checksum(filling.rows(table).await?).await? == checksum;
    if is_same {
        Ok(CopiedTable { name: table.name.clone(), rows, checksum })
    } else {
        Err(CopyError::Differs(table.name.clone()))
    }
}

async fn checksum(
    rows: impl Stream<Item = Result<impl AsRef<[u8]>, CopyError>>,
) -> Result<String, CopyError> {
    let hash =
        rows.try_fold(Sha256::new(), |hash, part| async move { Ok(hash.chain_update(part)) });
    Ok(to_hex(&hash.await?.finalize()))
}
