//! The client's side of a connection: counts bytes and holds the two deadlines between requests.
//!
//! hyper has one time-out for "a request's head", which would also end a connection that is merely idle. Here
//! waiting for the first byte of a request (keep-alive, 60 s by default) and receiving the rest of its head (10 s)
//! are two waits. While a request is being served neither runs.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

use super::break_off::Breakable;

/// What the connection is waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Wait {
    /// The first byte of a request.
    Request = 0,
    /// The rest of its head.
    Head = 1,
    /// Nothing: a request is being served.
    Nothing = 2,
}

/// Tells the stream when a request is being served. Shared between the stream, which hyper owns, and the service.
#[derive(Debug, Clone)]
pub struct Phase(Arc<AtomicU8>);

impl Phase {
    fn new() -> Self {
        Phase(Arc::new(AtomicU8::new(Wait::Request as u8)))
    }

    /// A request's head is complete.
    pub fn serving(&self) {
        self.0.store(Wait::Nothing as u8, Ordering::Relaxed);
    }

    /// The request is answered; the next may come.
    pub fn waiting(&self) {
        self.0.store(Wait::Request as u8, Ordering::Relaxed);
    }

    fn set(&self, wait: Wait) {
        self.0.store(wait as u8, Ordering::Relaxed);
    }

    fn wait(&self) -> Wait {
        match self.0.load(Ordering::Relaxed) {
            0 => Wait::Request,
            1 => Wait::Head,
            _ => Wait::Nothing,
        }
    }
}

/// How long the two waits may last.
#[derive(Debug, Clone, Copy)]
pub struct HeadLimits {
    pub idle: Duration,
    pub head: Duration,
}

/// A client's stream under the two deadlines.
pub struct ClientIo {
    stream: Breakable,
    limits: HeadLimits,
    phase: Phase,
    /// The wait that `timer` was set for.
    timed: Wait,
    timer: Pin<Box<Sleep>>,
}

impl ClientIo {
    pub fn new(stream: Breakable, limits: HeadLimits) -> (Self, Phase) {
        let phase = Phase::new();
        let timer = Box::pin(tokio::time::sleep(limits.idle));
        (ClientIo { stream, limits, phase: phase.clone(), timed: Wait::Nothing, timer }, phase)
    }

    /// The bare stream, once the connection is no longer HTTP.
    pub fn into_stream(self) -> TcpStream {
        self.stream.into_stream()
    }

    /// Called when there is nothing to read: ready with an error when the present wait has lasted too long.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let wait = self.phase.wait();
        let limit = match wait {
            Wait::Nothing => {
                self.timed = Wait::Nothing;
                return Poll::Pending;
            }
            Wait::Request => self.limits.idle,
            Wait::Head => self.limits.head,
        };
        if self.timed != wait {
            self.timed = wait;
            self.timer.as_mut().reset(Instant::now() + limit);
        }
        ready!(self.timer.as_mut().poll(cx));
        Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, "no complete request in time"))
    }
}

impl AsyncRead for ClientIo {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        match Pin::new(&mut self.stream).poll_read(cx, buf) {
            Poll::Ready(result) => {
                if buf.filled().len() > before && self.phase.wait() == Wait::Request {
                    self.phase.set(Wait::Head);
                }
                Poll::Ready(result)
            }
            Poll::Pending => self.poll_deadline(cx).map(Err),
        }
    }
}

impl AsyncWrite for ClientIo {
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
