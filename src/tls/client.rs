//! The client's side of an opened connection.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{self, AlertDescription, ServerConfig};
use tokio_rustls::server::TlsStream;

/// A client that believed our certificate.
pub type ClientStream<S> = TlsStream<S>;

/// Why a client's handshake failed. Side: the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClientFault {
    /// It said so, or left when it saw it.
    #[error("it does not believe our certificate")]
    RefusesCertificate,
    #[error("it took too long")]
    TimedOut,
    /// It speaks no version, coding or protocol that we do.
    #[error("its handshake is none of ours")]
    Invalid,
}

/// Shakes hands with a client; its stream begins with the ClientHello.
pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    server: Arc<ServerConfig>,
    limit: Duration,
) -> Result<ClientStream<S>, ClientFault> {
    let accepting = TlsAcceptor::from(server).accept(stream);
    match tokio::time::timeout(limit, accepting).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(fault(&error)),
        Err(_) => Err(ClientFault::TimedOut),
    }
}

fn fault(error: &io::Error) -> ClientFault {
    use AlertDescription as Alert;
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls {
        Some(rustls::Error::AlertReceived(
            Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::DecryptError
            | Alert::UserCanceled
            | Alert::CloseNotify,
        )) => ClientFault::RefusesCertificate,
        Some(_) => ClientFault::Invalid,
        // It hung up: that is how many applications say it.
        None => ClientFault::RefusesCertificate,
    }
}
