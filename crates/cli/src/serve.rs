//! The service: its roles in one process, from the folder and the sockets to the last drained
//! connection.

mod authority;
mod broker;
mod certificate;
mod database;
mod deployment;
mod health;
mod key_files;
mod names;
mod node;
mod own_certificate;
mod readiness;
mod server;
mod sockets;
mod sweeps;
mod welcome;

use std::net::SocketAddr;
use std::path::PathBuf;

use opencpm_operations::first_start::FirstStartError;
use opencpm_operations::port::{KeysError, StoreError};
use opencpm_operations::role::TrustError;
use opencpm_queue::RabbitMqOptionsError;
use opencpm_store::{CopyError, OptionsError};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

use crate::config::{Config, Role};

pub(crate) use database::{Copy, Schema, reopen};
pub(crate) use deployment::{ADMIN, CA};
pub(crate) use server::Server;
pub(crate) use sockets::Addresses;

/// The service cannot start, or did not end well.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    /// The folder cannot be made.
    #[error("the folder {} cannot be made", .0.display())]
    Folder(PathBuf, #[source] std::io::Error),
    /// The database cannot be opened.
    #[error("the database {} cannot be opened", .0.display())]
    Database(PathBuf, #[source] StoreError),
    /// The database does not do its work.
    #[error("the database does not do its work")]
    Store(#[source] StoreError),
    /// The way from one database to the other.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// There is no other database.
    #[error("store.url names no PostgreSQL database to copy to")]
    NoTarget,
    /// The database's address.
    #[error("store.url cannot be used")]
    StoreUrl(#[source] OptionsError),
    /// The broker's address.
    #[error("queue.url cannot be used")]
    QueueUrl(#[source] RabbitMqOptionsError),
    /// A file that the configuration names beside an address.
    #[error("the file {} cannot be read", .0.display())]
    Secret(PathBuf, #[source] std::io::Error),
    /// Beside an address, too.
    #[error("no certificates in PEM can be read from {}", .0.display())]
    Authorities(PathBuf, #[source] tokio_rustls::rustls::pki_types::pem::Error),
    /// A process without the API role.
    #[error(transparent)]
    Node(#[from] node::NodeError),
    /// A key file.
    #[error(transparent)]
    KeyFile(#[from] key_files::KeyFileError),
    /// The master key is another deployment's.
    #[error(
        "the master key in {} does not open this database: it belongs to another deployment, or \
         the database was changed", .path.display()
    )]
    OtherMaster {
        /// Its file.
        path: PathBuf,
        /// What failed.
        #[source]
        source: KeysError,
    },
    /// The statement in the database does not fit the keys beside it.
    #[error("the database does not fit the keys beside it")]
    Trust(#[source] TrustError),
    /// The first start.
    #[error("the deployment cannot be made")]
    FirstStart(#[source] FirstStartError),
    /// It was just there.
    #[error("the database lost the deployment that was just made")]
    NoDeployment,
    /// The deployment's certificates.
    #[error(transparent)]
    Tls(#[from] authority::TlsError),
    /// The operator's certificate.
    #[error(transparent)]
    OwnCertificate(#[from] own_certificate::OwnCertificateError),
    /// A file of the folder.
    #[error("the file {} cannot be written", .0.display())]
    File(PathBuf, #[source] std::io::Error),
    /// The port is in use, or is not ours to use.
    #[error("{what} cannot listen on {address}")]
    Listen {
        /// Who wants it.
        what: &'static str,
        /// Where.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The machinery behind asynchronous work, or behind signals.
    #[error("the runtime cannot be started")]
    Runtime(#[source] std::io::Error),
    /// A defect: a part of the service panicked.
    #[error("a part of the service did not end well")]
    Panicked(#[source] tokio::task::JoinError),
    /// A defect: nothing can be written any more.
    #[error("the store's writer has ended")]
    StoreStopped,
    /// A defect: nobody holds the agents' connections any more.
    #[error("the gateway has ended")]
    GatewayEnded,
}

/// Checks what can be checked without starting: every file that the configuration names, and the
/// key files as far as they exist.
pub(crate) fn check(config: &Config) -> Result<(), ServeError> {
    database::check(config)?;
    broker::check(config)?;
    if !config.has(Role::Api) {
        return node::check(&config.dir, config.node.token_file.as_deref()).map_err(Into::into);
    }
    let root_public = config.dir.join(deployment::ROOT_PUBLIC);
    // Where the database is elsewhere, the public half tells that the deployment was made.
    let made = match config.store.url {
        None => config.dir.join(deployment::DATABASE).exists(),
        Some(_) => root_public.exists(),
    };
    if made {
        key_files::master(&config.master_key())?;
        key_files::root(&config.root_key())?;
        key_files::root_public(&root_public)?;
    }
    own_certificate::load(&config.api).map(drop)?;
    Ok(())
}

/// Serves until SIGTERM or SIGINT, then finishes what was begun.
pub(crate) fn run(config: Config) -> Result<(), ServeError> {
    let runtime = Builder::new_multi_thread().enable_all().build().map_err(ServeError::Runtime)?;
    runtime.block_on(async {
        let mut ask_to_end = Ending::listen().map_err(ServeError::Runtime)?;
        // While it waits for a database or for an API node, it can be asked to end.
        let mut server = tokio::select! {
            started = Server::start(config.clone()) => started?,
            () = ask_to_end.asked() => return Ok(()),
        };
        if server.is_first {
            welcome::explain(&config);
        }
        let broken = tokio::select! {
            () = ask_to_end.asked() => None,
            error = server.broken() => Some(error),
        };
        tracing::info!("ending: what was begun is finished first");
        if broken.is_none() {
            tokio::select! {
                () = server.give_notice(config.metrics.notice()) => {}
                () = ask_to_end.asked() => {}
            }
        }
        let stopped = server.stop().await;
        broken.map_or(stopped, Err)
    })
}

/// The signals that ask for an orderly end.
pub(crate) struct Ending {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Ending {
    /// From now on, the signals do not kill the process.
    pub(crate) fn listen() -> std::io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self { terminate, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for one.
    pub(crate) async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
