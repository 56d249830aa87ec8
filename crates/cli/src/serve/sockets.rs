//! The sockets of a service: taken before anything is written, so that a port in use costs nothing.

use std::net::SocketAddr;

use tokio::net::TcpListener;

use super::ServeError;
use crate::config::{Config, Role};

/// Where a service can be reached; with port 0 in the configuration, the system chose.
#[derive(Clone, Debug)]
pub(crate) struct Addresses {
    /// The API over TLS.
    pub(crate) https: SocketAddr,
    /// The API over plain HTTP.
    pub(crate) http: Option<SocketAddr>,
    /// The agents' connections.
    pub(crate) agents: Option<SocketAddr>,
    /// What watches from outside asks here.
    pub(crate) metrics: Option<SocketAddr>,
}

/// Bound, and nobody accepts yet.
pub(super) struct Sockets {
    pub(super) https: TcpListener,
    pub(super) http: Option<TcpListener>,
    pub(super) agents: Option<TcpListener>,
    pub(super) metrics: Option<TcpListener>,
}

impl Sockets {
    /// Binds what the roles and the operator ask for.
    pub(super) async fn take(config: &Config) -> Result<Self, ServeError> {
        let agents = config.roles.contains(&Role::Gateway).then_some(config.agents.listen);
        Ok(Self {
            https: listen("the API", config.api.listen).await?,
            http: match config.api.http {
                Some(address) => Some(listen("the API over plain HTTP", address).await?),
                None => None,
            },
            agents: match agents {
                Some(address) => Some(listen("the agents' listener", address).await?),
                None => None,
            },
            metrics: match config.metrics.listen {
                Some(address) => Some(listen("the metrics listener", address).await?),
                None => None,
            },
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
            https: local(&self.https)?,
            http: self.http.as_ref().map(local).transpose()?,
            agents: self.agents.as_ref().map(local).transpose()?,
            metrics: self.metrics.as_ref().map(local).transpose()?,
        })
    }
}

async fn listen(what: &'static str, address: SocketAddr) -> Result<TcpListener, ServeError> {
    let failed = |source| ServeError::Listen { what, address, source };
    TcpListener::bind(address).await.map_err(failed)
}
