//! The sockets of a service: taken before anything is written, so that a port in use costs nothing.

use std::net::SocketAddr;

use tokio::net::TcpListener;

use super::ServeError;
use crate::config::{Config, Role};

/// Where a service can be reached; with port 0 in the configuration, the system chose.
#[derive(Clone, Debug)]
pub(crate) struct Addresses {
    /// The API over TLS.
    pub(crate) https: Option<SocketAddr>,
    /// The API over plain HTTP.
    pub(crate) http: Option<SocketAddr>,
    /// The agents' connections; in a process without the gateway's role machines only enrol there,
    /// and nodes join.
    pub(crate) agents: SocketAddr,
    /// What watches from outside asks here.
    pub(crate) metrics: Option<SocketAddr>,
}

/// Bound, and nobody accepts yet.
pub(super) struct Sockets {
    pub(super) https: Option<TcpListener>,
    pub(super) http: Option<TcpListener>,
    pub(super) agents: TcpListener,
    pub(super) metrics: Option<TcpListener>,
}

impl Sockets {
    /// Binds what the roles and the operator ask for.
    pub(super) async fn take(config: &Config) -> Result<Self, ServeError> {
        let api = config.has(Role::Api);
        let http = config.api.http.filter(|_| api);
        Ok(Self {
            https: some("the API", api.then_some(config.api.listen)).await?,
            http: some("the API over plain HTTP", http).await?,
            agents: listen("the agents' listener", config.agents.listen).await?,
            metrics: some("the metrics listener", config.metrics.listen).await?,
        })
    }

    /// Where they are.
    pub(super) fn addresses(&self, config: &Config) -> Result<Addresses, ServeError> {
        let local = |socket: &TcpListener| {
            let failed = |source| ServeError::Listen {
                what: "the service",
                address: config.api.listen,
                source,
            };
            socket.local_addr().map_err(failed)
        };
        Ok(Addresses {
            https: self.https.as_ref().map(local).transpose()?,
            http: self.http.as_ref().map(local).transpose()?,
            agents: local(&self.agents)?,
            metrics: self.metrics.as_ref().map(local).transpose()?,
        })
    }
}

async fn some(
    what: &'static str,
    address: Option<SocketAddr>,
) -> Result<Option<TcpListener>, ServeError> {
    match address {
        Some(address) => listen(what, address).await.map(Some),
        None => Ok(None),
    }
}

async fn listen(what: &'static str, address: SocketAddr) -> Result<TcpListener, ServeError> {
    let failed = |source| ServeError::Listen { what, address, source };
    TcpListener::bind(address).await.map_err(failed)
}
