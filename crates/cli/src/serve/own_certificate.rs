//! The operator's own certificate for the API's listener.

use std::path::PathBuf;
use std::sync::Arc;

use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{Error as PemError, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::Api;

/// The operator's certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OwnCertificateError {
    /// A file cannot be read, or holds something else.
    #[error("{key}: no {what} in PEM can be read from {}", .path.display())]
    Read {
        /// The key of the configuration.
        key: &'static str,
        /// What was expected.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: PemError,
    },
    /// The two do not belong together, or are of an unknown kind.
    #[error("api.certificate and api.key cannot be used together")]
    Use(#[from] tokio_rustls::rustls::Error),
}

/// The listener's configuration; `None` when the deployment's certificate is to be used.
pub(super) fn load(api: &Api) -> Result<Option<ServerConfig>, OwnCertificateError> {
    let (Some(certificate), Some(key)) = (&api.certificate, &api.key) else { return Ok(None) };
    let read = |key, what, path: &PathBuf| {
        let path = path.clone();
        move |source| OwnCertificateError::Read { key, what, path, source }
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .and_then(|chain| if chain.is_empty() { Err(PemError::NoItemsFound) } else { Ok(chain) })
        .map_err(read("api.certificate", "certificates", certificate))?;
    let secret = PrivateKeyDer::from_pem_file(key).map_err(read("api.key", "private key", key))?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, secret)?;
    Ok(Some(config))
}
