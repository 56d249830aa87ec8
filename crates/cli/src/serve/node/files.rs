//! What a node keeps in its folder.

use std::path::{Path, PathBuf};

use opencpm_domain::{DeploymentId, Timestamp, hex_to_bytes};
use opencpm_protocol::node::Certified;
use serde::{Deserialize, Serialize};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::sign::CertifiedKey;
use zeroize::Zeroizing;

use super::super::authority::{TlsError, certified_key, pem};
use crate::files;

/// The node's own key.
pub(super) const KEY: &str = "node.key";
/// TLS key and certificates; written last, so that it tells that the node joined.
const CERTIFICATE: &str = "node.pem";
const STATE: &str = "node.json";

/// A file of a node cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NodeFileError {
    /// Not there, or not ours to read.
    #[error("the file {} cannot be read", .0.display())]
    Read(PathBuf, #[source] std::io::Error),
    /// It cannot be made.
    #[error("the file {} cannot be written", .0.display())]
    Write(PathBuf, #[source] std::io::Error),
    /// Another file, or a damaged one.
    #[error("the file {} does not hold what a node keeps there", .0.display())]
    Content(PathBuf),
    /// The TLS key and the certificates.
    #[error("the certificate in {} cannot be used", .0.display())]
    Certificate(PathBuf, #[source] TlsError),
}

/// Whether an earlier start joined.
pub(super) fn has_joined(dir: &Path) -> bool {
    dir.join(CERTIFICATE).exists()
}

/// What the deployment told a node.
pub(super) struct Joined {
    pub(super) deployment: DeploymentId,
    /// When to ask for the next certificate.
    pub(super) renew: Timestamp,
    /// `host:port` of the API nodes to ask then.
    pub(super) addresses: Vec<String>,
}

/// The same, as it is written.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct State {
    deployment: String,
    /// Seconds since the Unix epoch.
    renew: u64,
    addresses: Vec<String>,
}

impl Joined {
    /// What comes with a certificate.
    pub(super) fn new(deployment: DeploymentId, certified: &Certified) -> Self {
        Self { deployment, renew: certified.renew, addresses: certified.addresses.clone() }
    }

    pub(super) fn read(dir: &Path) -> Result<Self, NodeFileError> {
        let path = dir.join(STATE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) => return Err(NodeFileError::Read(path, error)),
        };
        let state = serde_json::from_str::<State>(&text).ok();
        let joined = state.and_then(|state| {
            let deployment = hex_to_bytes(&state.deployment)?.try_into().ok()?;
            Some(Self {
                deployment: DeploymentId::from_bytes(deployment),
                renew: Timestamp::from_secs(state.renew),
                addresses: state.addresses,
            })
        });
        joined.ok_or(NodeFileError::Content(path))
    }

    pub(super) fn keep(&self, dir: &Path) -> Result<(), NodeFileError> {
        let path = dir.join(STATE);
        let state = State {
            deployment: opencpm_domain::to_hex(self.deployment.as_bytes()),
            renew: self.renew.as_secs(),
            addresses: self.addresses.clone(),
        };
        let text = serde_json::to_string_pretty(&state).map_err(std::io::Error::from);
        let written = text.and_then(|text| files::replace_secret(&path, &text));
        written.map_err(|error| NodeFileError::Write(path, error))
    }
}

/// Keeps a TLS key (PKCS #8) and its certificates; returns them ready to be shown.
pub(super) fn keep_certificate(
    dir: &Path,
    key: &[u8],
    certified: &Certified,
) -> Result<CertifiedKey, NodeFileError> {
    let path = dir.join(CERTIFICATE);
    let chain = certified.chain.iter().map(|der| der.0.clone().into()).collect();
    let shown = certified_key(chain, &key.into())
        .map_err(|error| NodeFileError::Certificate(path.clone(), error))?;
    let mut text = private_key_pem(key);
    certified.chain.iter().for_each(|certificate| text.push_str(&pem(&certificate.0)));
    files::replace_secret(&path, &text).map_err(|error| NodeFileError::Write(path, error))?;
    Ok(shown)
}

/// What [`keep_certificate`] kept.
pub(super) fn read_certificate(dir: &Path) -> Result<CertifiedKey, NodeFileError> {
    let path = dir.join(CERTIFICATE);
    let text = match std::fs::read(&path) {
        Ok(text) => Zeroizing::new(text),
        Err(error) => return Err(NodeFileError::Read(path, error)),
    };
    let key = PrivatePkcs8KeyDer::from_pem_slice(&text);
    let chain = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>();
    let (Ok(key), Ok(chain)) = (key, chain) else { return Err(NodeFileError::Content(path)) };
    certified_key(chain, &key).map_err(|error| NodeFileError::Certificate(path, error))
}

fn private_key_pem(key: &[u8]) -> Zeroizing<String> {
    let certificate = Zeroizing::new(pem(key));
    Zeroizing::new(certificate.replace(" CERTIFICATE-", " PRIVATE KEY-"))
}
