//! Whom the client trusts: the authorities of a file, else those of the system.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls_platform_verifier::BuilderVerifierExt;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::{Error as PemError, PemObject};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// It cannot be said whom to trust.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    /// The authority's file is not there, or holds something else.
    #[error("no certificates in PEM can be read from {}", .0.display())]
    Ca(PathBuf, #[source] PemError),
    /// A certificate is no authority's, or the system has none.
    #[error("TLS cannot be set up")]
    Use(#[from] tokio_rustls::rustls::Error),
}

/// A configuration that trusts the certificates in this file.
pub(super) fn config(ca: Option<&Path>) -> Result<ClientConfig, TlsError> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?;
    let Some(path) = ca else {
        return Ok(builder.with_platform_verifier()?.with_no_client_auth());
    };
    let mut roots = RootCertStore::empty();
    for certificate in authorities(path).map_err(|error| TlsError::Ca(path.to_owned(), error))? {
        roots.add(certificate)?;
    }
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let all = CertificateDer::pem_file_iter(path)?.collect::<Result<Vec<_>, _>>()?;
    if all.is_empty() { Err(PemError::NoItemsFound) } else { Ok(all) }
}
