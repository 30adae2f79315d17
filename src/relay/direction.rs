//! One way of a relay: read, write, and at the end of the one close the other.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes read at once: larger ones cost more cache than they save system calls.
const BUFFER: usize = 32 * 1024;

thread_local! {
    /// The buffer that everything on this thread passes through.
    static SCRATCH: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

/// Which end of this direction broke.
#[derive(Debug, Clone, Copy)]
pub(super) enum Break {
    From(io::ErrorKind),
    To(io::ErrorKind),
}

/// One way.
#[derive(Debug, Default)]
pub(super) struct Direction {
    stage: Stage,
    /// What was read and not taken yet; empty, and without memory, nearly always.
    rest: Vec<u8>,
    /// How much of `rest` was taken.
    taken: usize,
    /// Something was written and not flushed.
    unflushed: bool,
}

#[derive(Debug, Default, Clone, Copy)]
enum Stage {
    #[default]
    Open,
    /// The reading side is over: the other is told.
    Closing,
    Over(Result<(), Break>),
}

impl Direction {
    /// Moves what can be moved now. Ready when this direction is over, then always.
    pub fn poll<F, T>(
        &mut self,
        cx: &mut Context<'_>,
        mut from: Pin<&mut F>,
        mut to: Pin<&mut T>,
        count: &AtomicU64,
    ) -> Poll<Result<(), Break>>
    where
        F: AsyncRead,
        T: AsyncWrite,
    {
        loop {
            match self.stage {
                Stage::Open => match ready!(self.poll_move(cx, from.as_mut(), to.as_mut(), count)) {
                    Ok(()) => self.stage = Stage::Closing,
                    Err(end) => self.stage = Stage::Over(Err(end)),
                },
                Stage::Closing => {
                    let closed = match ready!(to.as_mut().poll_shutdown(cx)) {
                        // It was gone already: the other direction tells how.
                        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
                        closed => closed.map_err(|error| Break::To(error.kind())),
                    };
                    self.stage = Stage::Over(closed);
                }
                Stage::Over(end) => return Poll::Ready(end),
            }
        }
    }

    /// Ready with `Ok` at the end of `from`, everything written.
    fn poll_move<F, T>(
        &mut self,
        cx: &mut Context<'_>,
        mut from: Pin<&mut F>,
        mut to: Pin<&mut T>,
        count: &AtomicU64,
    ) -> Poll<Result<(), Break>>
    where
        F: AsyncRead,
        T: AsyncWrite,
    {
        ready!(self.poll_rest(cx, to.as_mut(), count))?;
        let mut scratch = SCRATCH.take().unwrap_or_else(|| vec![0; BUFFER].into());
        let moved = loop {
            let mut buffer = ReadBuf::new(&mut scratch);
            match from.as_mut().poll_read(cx, &mut buffer) {
                Poll::Pending => break self.poll_flush(cx, to.as_mut()),
                Poll::Ready(Err(error)) => break Poll::Ready(Err(Break::From(error.kind()))),
                Poll::Ready(Ok(())) if buffer.filled().is_empty() => break Poll::Ready(Ok(())),
                Poll::Ready(Ok(())) => {}
            }
            let written = self.poll_write(cx, to.as_mut(), buffer.filled(), count);
            if !matches!(written, Poll::Ready(Ok(()))) {
                break written;
            }
        };
        SCRATCH.set(Some(scratch));
        moved
    }

    /// Writes all of it, or keeps what is not taken.
    fn poll_write<T: AsyncWrite>(
        &mut self,
        cx: &mut Context<'_>,
        mut to: Pin<&mut T>,
        mut bytes: &[u8],
        count: &AtomicU64,
    ) -> Poll<Result<(), Break>> {
        while !bytes.is_empty() {
            match to.as_mut().poll_write(cx, bytes) {
                Poll::Ready(written) => {
                    let n = counted(written, count)?;
                    bytes = &bytes[n..];
                }
                Poll::Pending => {
                    self.rest = bytes.to_vec();
                    self.taken = 0;
                    return Poll::Pending;
                }
            }
        }
        self.unflushed = true;
        Poll::Ready(Ok(()))
    }

    fn poll_rest<T: AsyncWrite>(
        &mut self,
        cx: &mut Context<'_>,
        mut to: Pin<&mut T>,
        count: &AtomicU64,
    ) -> Poll<Result<(), Break>> {
        if self.rest.is_empty() {
            return Poll::Ready(Ok(()));
        }
        while self.taken < self.rest.len() {
            self.taken += counted(ready!(to.as_mut().poll_write(cx, &self.rest[self.taken..])), count)?;
        }
        self.rest = Vec::new();
        self.unflushed = true;
        Poll::Ready(Ok(()))
    }

    /// Nothing more to read for now: what a stream in between (TLS) holds back goes out. Never ready with `Ok`: there is
    /// no end yet.
    fn poll_flush<T: AsyncWrite>(&mut self, cx: &mut Context<'_>, to: Pin<&mut T>) -> Poll<Result<(), Break>> {
        if self.unflushed {
            ready!(to.poll_flush(cx)).map_err(|error| Break::To(error.kind()))?;
            self.unflushed = false;
        }
        Poll::Pending
    }
}

fn counted(written: io::Result<usize>, count: &AtomicU64) -> Result<usize, Break> {
    match written {
        Ok(0) => Err(Break::To(io::ErrorKind::WriteZero)),
        Ok(n) => {
            count.fetch_add(n as u64, Ordering::Relaxed);
            Ok(n)
        }
        Err(error) => Err(Break::To(error.kind())),
    }
}
