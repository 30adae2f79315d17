//! The client's side of an opened connection.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{self, AlertDescription, ServerConfig};
use tokio_rustls::server::TlsStream;

/// A client that believed our certificate.
pub type ClientStream = TlsStream<Replayed>;

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

/// Shakes hands with a client whose first bytes were read already.
pub async fn accept(
    first: Bytes,
    stream: TcpStream,
    server: Arc<ServerConfig>,
    limit: Duration,
) -> Result<ClientStream, ClientFault> {
    let accepting = TlsAcceptor::from(server).accept(Replayed { first, stream });
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

/// A client's socket whose first bytes are read again.
#[derive(Debug)]
pub struct Replayed {
    first: Bytes,
    stream: TcpStream,
}

impl Replayed {
    pub fn socket(&self) -> &TcpStream {
        &self.stream
    }
}

impl AsyncRead for Replayed {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.first.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let n = self.first.len().min(buf.remaining());
        buf.put_slice(&self.first[..n]);
        self.first.advance(n);
        if self.first.is_empty() {
            self.first = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Replayed {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
