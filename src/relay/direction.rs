//! One way of a relay: read, write, and at the end of the one close the other.
//!
//! Bytes are copied through a buffer of the thread's while they come in small pieces. Once a read brings a large one,
//! and both sides are sockets, the kernel moves them through a pipe (`splice(2)`): a page changes hands and is not
//! copied. Whether a socket is empty, or at its end, is only ever said by a read: `splice` gives the same answer for a
//! socket that is empty and for one that stands at an urgent byte (RFC 9293 §3.8.5).

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use rustix::io::Errno;
use rustix::pipe::{SpliceFlags, splice};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

use super::Stream;
use super::pipes::{self, PIPE_BYTES, Pipe};

/// Bytes read at once: larger ones cost more cache than they save system calls.
const BUFFER: usize = 32 * 1024;
/// A read of so much is the beginning of something large: two system calls on a pipe cost less than copying it twice.
const LARGE: usize = 8 * 1024;
/// A splice of no more than that would have cost less as a copy.
const SMALL: usize = 4 * 1024;

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

/// Who is told of bytes that were read, and of bytes that were written.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Counters<'a> {
    pub read: Option<&'a AtomicU64>,
    pub written: [Option<&'a AtomicU64>; 2],
}

impl Counters<'_> {
    fn was_read(&self, n: usize) {
        add(self.read.as_slice(), n);
    }

    fn was_written(&self, n: usize) {
        self.written.iter().for_each(|counter| add(counter.as_slice(), n));
    }
}

fn add(counters: &[&AtomicU64], n: usize) {
    for counter in counters {
        counter.fetch_add(n as u64, Ordering::Relaxed);
    }
}

/// One way.
#[derive(Debug)]
pub(super) struct Direction {
    stage: Stage,
    manner: Manner,
    /// Something was written and not flushed.
    unflushed: bool,
    /// What was read and not taken yet; empty, and without memory, nearly always.
    rest: Bytes,
    /// What the kernel holds for us.
    piped: Option<Piped>,
}

#[derive(Debug, Clone, Copy)]
enum Stage {
    Open,
    /// The reading side is over: the other is told.
    Closing,
    Over(Result<(), Break>),
}

/// How the next bytes are moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    Copy,
    Splice,
    /// Splice does not serve here: copy, for good.
    CopyOnly,
}

#[derive(Debug)]
struct Piped {
    pipe: Pipe,
    bytes: usize,
}

impl Direction {
    /// `first` goes before all that will be read.
    pub fn new(first: Bytes) -> Self {
        Direction { stage: Stage::Open, manner: Manner::Copy, unflushed: false, rest: first, piped: None }
    }

    /// Moves what can be moved now. Ready when this direction is over, then always.
    pub fn poll<F: Stream, T: Stream>(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut F,
        to: &mut T,
        counters: &Counters<'_>,
    ) -> Poll<Result<(), Break>> {
        loop {
            match self.stage {
                Stage::Open => match ready!(self.poll_move(cx, from, to, counters)) {
                    Ok(()) => self.stage = Stage::Closing,
                    Err(end) => self.stage = Stage::Over(Err(end)),
                },
                Stage::Closing => {
                    let closed = match ready!(Pin::new(&mut *to).poll_shutdown(cx)) {
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
    fn poll_move<F: Stream, T: Stream>(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut F,
        to: &mut T,
        counters: &Counters<'_>,
    ) -> Poll<Result<(), Break>> {
        ready!(self.poll_rest(cx, to, counters))?;
        loop {
            if let (Some(from), Some(to)) = (from.socket(), to.socket()) {
                ready!(self.poll_piped(cx, to, counters))?;
                if self.manner == Manner::Splice && ready!(self.poll_fill(cx, from, counters)) {
                    continue;
                }
            }
            let mut scratch = SCRATCH.take().unwrap_or_else(|| vec![0; BUFFER].into());
            let copied = self.poll_copy(cx, from, to, &mut scratch, counters);
            SCRATCH.set(Some(scratch));
            match ready!(copied)? {
                0 => return Poll::Ready(Ok(())),
                LARGE.. if self.manner == Manner::Copy => self.manner = Manner::Splice,
                _ => {}
            }
        }
    }

    /// Reads once and writes all of it, or keeps what is not taken: how much was read.
    fn poll_copy<F: AsyncRead + Unpin, T: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut F,
        to: &mut T,
        scratch: &mut [u8],
        counters: &Counters<'_>,
    ) -> Poll<Result<usize, Break>> {
        let mut buffer = ReadBuf::new(scratch);
        match Pin::new(from).poll_read(cx, &mut buffer) {
            Poll::Pending => return self.poll_flush(cx, to),
            Poll::Ready(Err(error)) => return Poll::Ready(Err(Break::From(error.kind()))),
            Poll::Ready(Ok(())) => {}
        }
        let mut bytes = buffer.filled();
        let read = bytes.len();
        counters.was_read(read);
        while !bytes.is_empty() {
            match Pin::new(&mut *to).poll_write(cx, bytes) {
                Poll::Ready(written) => bytes = &bytes[counted(written, counters)?..],
                Poll::Pending => {
                    self.rest = Bytes::copy_from_slice(bytes);
                    return Poll::Pending;
                }
            }
        }
        self.unflushed = true;
        Poll::Ready(Ok(read))
    }

    fn poll_rest<T: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut T,
        counters: &Counters<'_>,
    ) -> Poll<Result<(), Break>> {
        if self.rest.is_empty() {
            return Poll::Ready(Ok(()));
        }
        while !self.rest.is_empty() {
            let n = counted(ready!(Pin::new(&mut *to).poll_write(cx, &self.rest)), counters)?;
            self.rest.advance(n);
        }
        // Frees the allocation now: a tunnel may stay open for hours.
        self.rest = Bytes::new();
        self.unflushed = true;
        Poll::Ready(Ok(()))
    }

    /// Fills an empty pipe from a socket that has something: whether there is something in it. If not, whatever the
    /// reason, a read tells.
    fn poll_fill(&mut self, cx: &mut Context<'_>, from: &TcpStream, counters: &Counters<'_>) -> Poll<bool> {
        if ready!(from.poll_read_ready(cx)).is_err() {
            return Poll::Ready(false);
        }
        let Some(pipe) = pipes::take() else { return Poll::Ready(false) };
        match splice(from, None, &pipe.write, None, PIPE_BYTES, SpliceFlags::NONBLOCK) {
            Ok(bytes) if bytes > 0 => {
                counters.was_read(bytes);
                if bytes <= SMALL {
                    self.manner = Manner::Copy;
                }
                self.piped = Some(Piped { pipe, bytes });
                return Poll::Ready(true);
            }
            Err(Errno::INVAL | Errno::NOSYS) => self.manner = Manner::CopyOnly,
            _ => {}
        }
        pipes::give_back(pipe);
        Poll::Ready(false)
    }

    /// Empties the pipe into a socket, and gives it back.
    fn poll_piped(&mut self, cx: &mut Context<'_>, to: &TcpStream, counters: &Counters<'_>) -> Poll<Result<(), Break>> {
        let Some(piped) = &mut self.piped else { return Poll::Ready(Ok(())) };
        while piped.bytes > 0 {
            ready!(to.poll_write_ready(cx)).map_err(|error| Break::To(error.kind()))?;
            let (pipe, bytes) = (&piped.pipe.read, piped.bytes);
            let written =
                to.try_io(Interest::WRITABLE, || Ok(splice(pipe, None, to, None, bytes, SpliceFlags::NONBLOCK)?));
            match written {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => piped.bytes -= counted(written, counters)?,
            }
        }
        if let Some(piped) = self.piped.take() {
            pipes::give_back(piped.pipe);
        }
        Poll::Ready(Ok(()))
    }

    /// Nothing more to read for now: what a stream in between (TLS) holds back goes out. Never ready with `Ok`: there is
    /// no end yet.
    fn poll_flush<T: AsyncWrite + Unpin>(&mut self, cx: &mut Context<'_>, to: &mut T) -> Poll<Result<usize, Break>> {
        if self.unflushed {
            ready!(Pin::new(to).poll_flush(cx)).map_err(|error| Break::To(error.kind()))?;
            self.unflushed = false;
        }
        Poll::Pending
    }
}

fn counted(written: io::Result<usize>, counters: &Counters<'_>) -> Result<usize, Break> {
    match written {
        Ok(0) => Err(Break::To(io::ErrorKind::WriteZero)),
        Ok(n) => {
            counters.was_written(n);
            Ok(n)
        }
        Err(error) => Err(Break::To(error.kind())),
    }
}
