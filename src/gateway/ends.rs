//! Both ends of what the gateway carries: a socket as it is, or TLS that was opened.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::detect::Prefixed;
use crate::relay;
use crate::tls::{ClientStream, OriginTls};

/// One end.
#[derive(Debug)]
pub enum End<T> {
    Clear(TcpStream),
    /// Apart: it is twenty times the size of a socket.
    Opened(Box<T>),
}

/// A client's TLS: its first bytes were read before it was known that they are to be read again.
pub type ClientTls = ClientStream<Prefixed<TcpStream>>;
pub type ClientEnd = End<ClientTls>;
pub type OriginEnd = End<OriginTls>;

impl ClientEnd {
    pub fn socket(&self) -> &TcpStream {
        match self {
            End::Clear(stream) => stream,
            End::Opened(stream) => stream.get_ref().0.get_ref(),
        }
    }
}

impl<T> From<TcpStream> for End<T> {
    fn from(stream: TcpStream) -> Self {
        End::Clear(stream)
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> relay::Stream for End<T> {
    fn socket(&self) -> Option<&TcpStream> {
        match self {
            End::Clear(stream) => Some(stream),
            End::Opened(_) => None,
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for End<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            End::Clear(stream) => Pin::new(stream).poll_read(cx, buf),
            End::Opened(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for End<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            End::Clear(stream) => Pin::new(stream).poll_write(cx, buf),
            End::Opened(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            End::Clear(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            End::Opened(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            End::Clear(stream) => stream.is_write_vectored(),
            End::Opened(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            End::Clear(stream) => Pin::new(stream).poll_flush(cx),
            End::Opened(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            End::Clear(stream) => Pin::new(stream).poll_shutdown(cx),
            End::Opened(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
