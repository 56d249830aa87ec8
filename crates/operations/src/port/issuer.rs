use opencpm_domain::Timestamp;
use opencpm_protocol::node::{Certificate, TlsPublic};

/// Issues certificates for the agents' listener, under the deployment's TLS authority. Given to
/// the API role only, as [`Keys`](super::Keys) is.
///
/// Pure computation: the method waits for nothing.
pub trait Issuer: Send + Sync {
    /// A certificate for this key and these names, valid from now on.
    fn issue(&self, key: &TlsPublic, names: &[String]) -> Result<Issued, IssueError>;
}

/// A certificate of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// The certificate, then its authority's.
    pub chain: Vec<Certificate>,
    /// When to ask for the next one.
    pub renew: Timestamp,
}

/// No certificate could be made.
#[derive(Debug, thiserror::Error)]
#[error("no certificate can be issued")]
pub struct IssueError(#[source] pub Box<dyn std::error::Error + Send + Sync>);
