//! A client's stream that can be made to end with a reset.
//!
//! HTTP/1.0 has answers that end where the connection ends (RFC 9112 §6.3, item 8). Closing in order after an origin
//! broke off would make half a page look like a whole one; a reset says what happened.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Tells the stream, which hyper owns, how to end.
#[derive(Debug, Clone)]
pub struct BreakOff(Arc<AtomicBool>);

impl BreakOff {
    /// When the stream is dropped, the other side hears a reset.
    pub fn by_reset(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A stream that is closed in order, or with a reset where [`BreakOff::by_reset`] was called.
#[derive(Debug)]
pub struct Breakable {
    /// `None` only while it is taken apart.
    stream: Option<TcpStream>,
    reset: Arc<AtomicBool>,
}

impl Breakable {
    pub fn new(stream: TcpStream) -> (Self, BreakOff) {
        let reset = Arc::new(AtomicBool::new(false));
        (Breakable { stream: Some(stream), reset: reset.clone() }, BreakOff(reset))
    }

    /// The bare stream: nothing is broken off any more.
    pub fn into_stream(mut self) -> TcpStream {
        self.stream.take().expect("only this function takes it, and with it the whole")
    }

    fn stream(self: Pin<&mut Self>) -> Pin<&mut TcpStream> {
        Pin::new(self.get_mut().stream.as_mut().expect("`into_stream` leaves nothing that could be polled"))
    }
}

impl Drop for Breakable {
    fn drop(&mut self) {
        if let Some(stream) = &self.stream
            && self.reset.load(Ordering::Relaxed)
        {
            // A socket that is closed already has nothing to tell.
            let _ = stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Breakable {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_read(cx, buf)
    }
}

impl AsyncWrite for Breakable {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.stream().poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream().poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_shutdown(cx)
    }
}
