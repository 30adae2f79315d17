//! Whom we believe when we fetch: the authorities of this machine, and those of a file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// Why nobody can be believed.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    #[error("{} has no certificate that can be used{}\n  help: it holds certificates in PEM (`-----BEGIN CERTIFICATE-----`)", path.display(), .why)]
    File { path: PathBuf, why: String },
    #[error(
        "this machine has no certificate authorities\n  help: install the package `ca-certificates`, or name a file with --ca-file"
    )]
    Nobody,
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] tokio_rustls::rustls::Error),
}

/// The authorities of the machine, and those of `file` beside them.
pub fn connector(file: Option<&Path>) -> Result<TlsConnector, TrustError> {
    let mut roots = RootCertStore::empty();
    // A certificate of the machine that cannot be read is one authority less, which shows when it is needed.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = file {
        let unusable = |why: String| TrustError::File { path: path.to_owned(), why };
        let certificates = CertificateDer::pem_file_iter(path).map_err(|error| unusable(format!(": {error}")))?;
        let mut added = 0;
        for certificate in certificates {
            let certificate = certificate.map_err(|error| unusable(format!(": {error}")))?;
            roots.add(certificate).map_err(|error| unusable(format!(": {error}")))?;
            added += 1;
        }
        if added == 0 {
            return Err(unusable(String::new()));
        }
    }
    if roots.is_empty() {
        return Err(TrustError::Nobody);
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}
