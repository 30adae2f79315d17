//! A stream to an origin whose bytes are counted, all included: what the row of its connection tells, and how much an
//! origin may say before it answers.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::relay::Counts;

use super::ends::OriginEnd;

/// How many times the largest head an origin may say before its answer's head is complete: room for some
/// informational answers (RFC 9110 §15.2), and an end for who sends nothing else.
const HEADS: u64 = 4;

/// What was heard since the last request was sent.
#[derive(Debug)]
pub struct Heard {
    bytes: AtomicU64,
    /// The head of the answer is still awaited: `bytes` has a limit.
    awaited: AtomicBool,
    limit: u64,
}

impl Heard {
    /// `head_bytes`: the largest head that is taken.
    pub fn new(head_bytes: usize) -> Arc<Self> {
        let limit = HEADS * head_bytes as u64;
        Arc::new(Heard { bytes: AtomicU64::new(0), awaited: AtomicBool::new(false), limit })
    }

    /// A request is about to be sent.
    pub fn asked(&self) {
        self.bytes.store(0, Ordering::Relaxed);
        self.awaited.store(true, Ordering::Relaxed);
    }

    /// The head of the answer is there.
    pub fn answered(&self) {
        self.awaited.store(false, Ordering::Relaxed);
    }

    /// Not a byte has come since the request was sent.
    pub fn is_nothing(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) == 0
    }

    fn add(&self, n: u64) -> io::Result<()> {
        let before = self.bytes.fetch_add(n, Ordering::Relaxed);
        if self.awaited.load(Ordering::Relaxed) && before + n > self.limit {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the origin talks and does not answer"));
        }
        Ok(())
    }
}

/// Counts what is written as up and what is read as down.
pub struct Counted {
    stream: OriginEnd,
    counts: Arc<Counts>,
    heard: Arc<Heard>,
}

impl Counted {
    pub fn new(stream: OriginEnd, counts: Arc<Counts>, heard: Arc<Heard>) -> Self {
        Counted { stream, counts, heard }
    }

    /// The bare stream, and the count of what goes over it.
    pub fn into_parts(self) -> (OriginEnd, Arc<Counts>) {
        (self.stream, self.counts)
    }
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(cx, buf);
        let n = (buf.filled().len() - before) as u64;
        self.counts.add_down(n);
        match self.heard.add(n) {
            Ok(()) => result,
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, buf);
        if let Poll::Ready(Ok(n)) = result {
            self.counts.add_up(n as u64);
        }
        result
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        if let Poll::Ready(Ok(n)) = result {
            self.counts.add_up(n as u64);
        }
        result
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
