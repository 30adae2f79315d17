//! The origin's side of an opened connection: we stand in the client's place, so we verify what it can no longer see.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::{Resumption, WebPkiServerVerifier};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{self, CertificateError, ClientConfig, RootCertStore};

use super::provider;
use crate::access::Host;
use crate::policy::RelayPermit;

/// An origin that was believed.
pub type OriginTls = TlsStream<TcpStream>;

/// Why nobody can be believed.
#[derive(Debug, thiserror::Error)]
pub enum OriginsError {
    #[error("{} has no certificate that can be used: {why}\n  help: it holds certificates in PEM (`-----BEGIN CERTIFICATE-----`)", path.display())]
    File { path: PathBuf, why: String },
    #[error(
        "this machine has no certificate authorities\n  help: install the package `ca-certificates`, or name a file as `[inspection] origin_ca_file`"
    )]
    Nobody,
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
}

/// Why a certificate is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    #[error("its certificate has expired")]
    Expired,
    #[error("its certificate is not valid yet")]
    NotYetValid,
    #[error("its certificate is for another name")]
    OtherName,
    /// Self-signed ones, and chains with a link missing, too.
    #[error("nobody we know stands for its certificate")]
    UnknownIssuer,
    #[error("its certificate was revoked")]
    Revoked,
    #[error("its certificate is not in order")]
    Malformed,
}

/// Why there is no TLS with an origin. Side: the origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    #[error(transparent)]
    Untrusted(#[from] Distrust),
    #[error("it hung up during the handshake")]
    HungUp,
    #[error("the handshake took too long")]
    TimedOut,
    #[error("it speaks no TLS that we do, or wants a certificate of the client")]
    Refused,
}

/// Verifies origins.
pub struct Origins {
    connector: TlsConnector,
}

impl Origins {
    /// Believes the authorities of the machine, and those of `file` beside them.
    pub fn open(file: Option<&Path>) -> Result<Origins, OriginsError> {
        let mut roots = RootCertStore::empty();
        // One that cannot be read is one authority less, which shows when it is needed.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if let Some(path) = file {
            let unusable = |why: String| OriginsError::File { path: path.to_owned(), why };
            let certificates = CertificateDer::pem_file_iter(path).map_err(|error| unusable(error.to_string()))?;
            let mut added = 0;
            for certificate in certificates {
                let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
                roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
                added += 1;
            }
            if added == 0 {
                return Err(unusable("there is none in it".to_owned()));
            }
        }
        if roots.is_empty() {
            return Err(OriginsError::Nobody);
        }
        Origins::with_roots(roots)
    }

    pub(super) fn with_roots(roots: RootCertStore) -> Result<Origins, OriginsError> {
        let verifier = verifier(roots)?;
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| OriginsError::Tls(error.to_string()))?
            .with_webpki_verifier(verifier)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // A session kept for one client would tell the origin that another is the same.
        config.resumption = Resumption::disabled();
        Ok(Origins { connector: TlsConnector::from(Arc::new(config)) })
    }

    /// Shakes hands over a dialled stream and believes the origin only as `host`. The permit is policy's word that bytes
    /// may go there.
    pub async fn connect(
        &self,
        _permit: &RelayPermit,
        stream: TcpStream,
        host: &Host,
        limit: Duration,
    ) -> Result<OriginTls, ConnectError> {
        let connecting = self.connector.connect(server_name(host).ok_or(Distrust::OtherName)?, stream);
        match tokio::time::timeout(limit, connecting).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(connect_error(&error)),
            Err(_) => Err(ConnectError::TimedOut),
        }
    }
}

/// The one verifier: chain, dates, purpose and host name, by rustls-webpki.
pub(super) fn verifier(roots: RootCertStore) -> Result<Arc<WebPkiServerVerifier>, OriginsError> {
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
        .build()
        .map_err(|error| OriginsError::Tls(error.to_string()))
}

pub(super) fn server_name(host: &Host) -> Option<ServerName<'static>> {
    match host {
        Host::Name(name) => ServerName::try_from(name.as_str().to_owned()).ok(),
        Host::Address(address) => Some(ServerName::IpAddress((*address).into())),
    }
}

fn connect_error(error: &io::Error) -> ConnectError {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(error)) => distrust(error).into(),
        Some(rustls::Error::NoCertificatesPresented) => Distrust::Malformed.into(),
        Some(_) => ConnectError::Refused,
        None => ConnectError::HungUp,
    }
}

pub(super) fn distrust(error: &CertificateError) -> Distrust {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => Distrust::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Distrust::NotYetValid,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => Distrust::OtherName,
        // A bad signature: somebody borrows the name of an authority that we know.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => Distrust::UnknownIssuer,
        CertificateError::Revoked => Distrust::Revoked,
        _ => Distrust::Malformed,
    }
}
