//! The client's side of a connection: what hyper reads of it has passed the [`Framer`], and every wait has a deadline.
//!
//! hyper is given whole, good heads only, and no byte beyond the present request. A head that is faulty, too large or
//! too late becomes [`Phase::take_fault`], and hyper a request of our own in its place, so that its answer and its row
//! come in their order, by the way of all others.
//!
//! Four waits: for the first byte of a request (keep-alive), for the rest of its head, for bytes of its body, and for
//! the client to take what we send. The last two are limits of pace, not of silence: a byte a minute is no body.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use crate::framing::{Fault, Framer, FramingLimits, Step};
use crate::tasks;

use super::ends::{ClientEnd, End};
use super::pace::{Pace, poll_timer};
use super::parting::{LINGER, LINGER_BYTES, say_goodbye};
use super::phase::Phase;

/// Read from a client at once while a head is looked for; a browser's head fits.
const READ: usize = 8 * 1024;
/// A connection younger than that is not idle, however quiet.
const NEWCOMER: Duration = Duration::from_secs(2);
/// What hyper reads in place of a head that it must not see; `answer` in `connection` never takes it for a request.
const IN_PLACE_OF_A_FAULT: &[u8] = b"GET / HTTP/1.1\r\nHost: ecluse.internal\r\nConnection: close\r\n\r\n";

thread_local! {
    /// What is read before it is known what it is. A connection holds memory of its own only for what must wait.
    static SCRATCH: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

/// How long the waits may last.
#[derive(Debug, Clone, Copy)]
pub struct Deadlines {
    /// For the first byte of a request.
    pub idle: Duration,
    /// From then to the end of its head.
    pub head: Duration,
    /// For 1 KiB of a body, or for the client to take as much.
    pub pace: Duration,
}

/// A client's stream, framed and timed.
pub struct ClientIo {
    /// `None` once it was taken.
    stream: Option<ClientEnd>,
    framer: Framer,
    /// Read from the client and not yet handed on.
    held: BytesMut,
    /// What hyper reads in place of a faulty head, as far as it was not read.
    in_place: &'static [u8],
    broken: bool,
    /// Something of a request has been handed on.
    has_asked: bool,
    born: Instant,
    deadlines: Deadlines,
    phase: Phase,
    waiting: Waiting,
    writing: Pace,
    write_timer: Option<Pin<Box<Sleep>>>,
    closing: Closing,
}

/// The wait for bytes.
#[derive(Debug, Default)]
struct Waiting {
    timer: Option<Pin<Box<Sleep>>>,
    /// When the present wait is over, and whether it is one for the rest of a head.
    until: Option<(Instant, bool)>,
    body: Pace,
}

/// How we part from a client.
#[derive(Debug, Default)]
enum Closing {
    #[default]
    Open,
    /// Our side is closed; what it still sends is thrown away, so much of it, until then.
    Lingering {
        left: usize,
        until: Pin<Box<Sleep>>,
    },
    Closed,
}

impl ClientIo {
    pub fn new(stream: ClientEnd, early: Bytes, limits: FramingLimits, deadlines: Deadlines) -> (Self, Phase) {
        let phase = Phase::new();
        let io = ClientIo {
            stream: Some(stream),
            framer: Framer::new(limits),
            held: early.into(),
            in_place: &[],
            broken: false,
            has_asked: false,
            born: Instant::now(),
            deadlines,
            phase: phase.clone(),
            waiting: Waiting::default(),
            writing: Pace::default(),
            write_timer: None,
            closing: Closing::Open,
        };
        (io, phase)
    }

    /// The bare stream, once the connection is no longer HTTP, and what the client has sent beyond its last request.
    pub fn into_stream(mut self) -> Option<(ClientEnd, Bytes)> {
        let held = std::mem::take(&mut self.held).freeze();
        self.stream.take().map(|stream| (stream, held))
    }

    /// Hands on what may be handed on of `bytes`: how many of them are done with, and whether hyper got something.
    fn hand_on(&mut self, bytes: &[u8], buf: &mut ReadBuf<'_>) -> io::Result<(usize, bool)> {
        let mut done = 0;
        while done < bytes.len() {
            let in_head = self.framer.is_in_head();
            match self.framer.step(&bytes[done..], buf.remaining()) {
                Ok(Step::Pass(n)) => {
                    if in_head {
                        self.waiting.body = Pace::default();
                    }
                    buf.put_slice(&bytes[done..done + n]);
                    self.passed(n);
                    return Ok((done + n, true));
                }
                Ok(Step::Skip(n)) => done += n,
                Ok(Step::More) => break,
                Err(fault) => {
                    self.fault(fault, in_head)?;
                    self.hand_on_in_place(buf);
                    return Ok((bytes.len(), true));
                }
            }
        }
        Ok((done, false))
    }

    fn hand_on_in_place(&mut self, buf: &mut ReadBuf<'_>) {
        let n = self.in_place.len().min(buf.remaining());
        buf.put_slice(&self.in_place[..n]);
        self.in_place = &self.in_place[n..];
    }

    fn passed(&mut self, n: usize) {
        self.has_asked = true;
        self.phase.is_now_idle(false);
        self.waiting.until = None;
        self.waiting.body.moved(n);
    }

    /// A faulty head is answered in its turn; a faulty body ends its request.
    fn fault(&mut self, fault: Fault, in_head: bool) -> io::Result<()> {
        self.broken = true;
        // What follows a fault is nobody's.
        self.held = BytesMut::new();
        self.phase.is_now_idle(false);
        self.phase.set_fault(fault, in_head);
        if in_head {
            self.in_place = IN_PLACE_OF_A_FAULT;
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::InvalidData, fault))
    }

    /// What is held from an earlier read.
    fn hand_on_held(&mut self, buf: &mut ReadBuf<'_>) -> io::Result<bool> {
        if !self.in_place.is_empty() {
            self.hand_on_in_place(buf);
            return Ok(true);
        }
        if self.held.is_empty() || self.broken {
            return Ok(self.broken);
        }
        let mut held = std::mem::take(&mut self.held);
        let (done, handed_on) = self.hand_on(&held, buf)?;
        held.advance(done);
        if !held.is_empty() {
            self.held = held;
        }
        Ok(handed_on)
    }

    /// Reads once what the client has sent. `true`: hyper got something, or the end.
    fn read_once(&mut self, buf: &mut ReadBuf<'_>) -> io::Result<bool> {
        let Some(End::Clear(stream)) = &self.stream else { return Ok(true) };
        let unseen = usize::try_from(self.framer.unseen()).unwrap_or(usize::MAX).min(buf.remaining());
        if unseen > 0 && self.held.is_empty() {
            // The rest of a body whose length is known goes straight through.
            let n = stream.try_read_buf(&mut (&mut *buf).limit(unseen))?;
            self.framer.passed(n as u64);
            self.passed(n);
            return Ok(true);
        }
        let mut scratch = SCRATCH.take().unwrap_or_else(|| vec![0; READ].into());
        let read = stream.try_read(&mut scratch);
        let result = read.and_then(|n| match n {
            0 => self.ended(buf),
            n => self.take_in(&scratch[..n], buf),
        });
        SCRATCH.set(Some(scratch));
        result
    }

    /// The same of TLS, which has no readiness but bytes.
    fn poll_opened(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<bool>> {
        let Some(stream) = &mut self.stream else { return Poll::Ready(Ok(true)) };
        let mut scratch = SCRATCH.take().unwrap_or_else(|| vec![0; READ].into());
        let mut read = ReadBuf::new(&mut scratch);
        let polled = Pin::new(stream).poll_read(cx, &mut read);
        let result = polled.map(|read_well| match (read_well, read.filled()) {
            (Ok(()), []) => self.ended(buf),
            (Ok(()), bytes) => self.take_in(bytes, buf),
            // Requests say themselves where they end: a client that leaves without a goodbye has left.
            (Err(error), _) if error.kind() == io::ErrorKind::UnexpectedEof => self.ended(buf),
            (Err(error), _) => Err(error),
        });
        SCRATCH.set(Some(scratch));
        result
    }

    /// Bytes from the client: what cannot be handed on yet is held.
    fn take_in(&mut self, bytes: &[u8], buf: &mut ReadBuf<'_>) -> io::Result<bool> {
        if !self.held.is_empty() {
            self.held.extend_from_slice(bytes);
            return self.hand_on_held(buf);
        }
        let (done, handed_on) = self.hand_on(bytes, buf)?;
        self.held.extend_from_slice(&bytes[done..]);
        Ok(handed_on)
    }

    /// The client has said all that it had to say.
    fn ended(&mut self, buf: &mut ReadBuf<'_>) -> io::Result<bool> {
        if self.framer.is_in_head() && !self.held.is_empty() {
            self.fault(Fault::Incomplete, true)?;
            self.hand_on_in_place(buf);
        }
        Ok(true)
    }

    /// Called when there is nothing to read. Ready when the present wait has lasted too long: with the end of the
    /// connection after silence, with a fault in place of a head, with an error within a body.
    fn poll_deadline(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.framer.is_in_head() {
            let error = ready!(self.waiting.body.poll(cx, &mut self.waiting.timer, self.deadlines.pace));
            self.phase.set_stalled();
            return Poll::Ready(Err(error));
        }
        let arriving = !self.held.is_empty();
        // Who has only just come is about to ask.
        self.phase.is_now_idle(!arriving && (self.has_asked || self.born.elapsed() > NEWCOMER));
        let limit = if arriving { self.deadlines.head } else { self.deadlines.idle };
        let until = match self.waiting.until {
            Some((until, for_head)) if for_head == arriving => until,
            _ => Instant::now() + limit,
        };
        self.waiting.until = Some((until, arriving));
        ready!(poll_timer(&mut self.waiting.timer, until, cx));
        if arriving {
            self.fault(Fault::TooSlow, true)?;
            self.hand_on_in_place(buf);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for ClientIo {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.hand_on_held(buf)? {
            return Poll::Ready(Ok(()));
        }
        loop {
            let read = match &this.stream {
                None => return Poll::Ready(Ok(())),
                Some(End::Clear(stream)) if stream.poll_read_ready(cx)?.is_pending() => Poll::Pending,
                Some(End::Clear(_)) => Poll::Ready(this.read_once(buf)),
                Some(End::Opened(_)) => this.poll_opened(cx, buf),
            };
            let Poll::Ready(read) = read else { return this.poll_deadline(cx, buf) };
            match read {
                Ok(true) => return Poll::Ready(Ok(())),
                Ok(false) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl ClientIo {
    /// What a write came to; while it must wait, the client's pace is watched.
    fn paced(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(n)) => {
                self.writing.moved(n);
                Poll::Ready(Ok(n))
            }
            Poll::Ready(error) => Poll::Ready(error),
            Poll::Pending => {
                let error = ready!(self.writing.poll(cx, &mut self.write_timer, self.deadlines.pace));
                self.phase.set_stalled();
                self.phase.cut();
                Poll::Ready(Err(error))
            }
        }
    }
}

impl AsyncWrite for ClientIo {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let Some(stream) = &mut this.stream else { return Poll::Ready(Err(io::ErrorKind::NotConnected.into())) };
        let written = Pin::new(stream).poll_write(cx, buf);
        this.paced(cx, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let Some(stream) = &mut this.stream else { return Poll::Ready(Err(io::ErrorKind::NotConnected.into())) };
        let written = Pin::new(stream).poll_write_vectored(cx, bufs);
        this.paced(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// A socket holds nothing back; TLS does.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let Some(stream @ End::Opened(_)) = &mut this.stream else { return Poll::Ready(Ok(())) };
        match Pin::new(stream).poll_flush(cx) {
            Poll::Pending => this.paced(cx, Poll::Pending).map_ok(|_| ()),
            flushed => flushed,
        }
    }

    /// Closes our side, then listens for a moment to what the client still sends.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let Some(stream) = &mut this.stream else { return Poll::Ready(Ok(())) };
        if let Closing::Open = this.closing {
            ready!(Pin::new(&mut *stream).poll_shutdown(cx))?;
            let until = Box::pin(tokio::time::sleep(LINGER));
            this.closing = Closing::Lingering { left: LINGER_BYTES, until };
        }
        if let Closing::Lingering { left, until } = &mut this.closing {
            while *left > 0 && until.as_mut().poll(cx).is_pending() {
                let mut scratch = [0; 1024];
                let mut read = ReadBuf::new(&mut scratch);
                match ready!(Pin::new(&mut *stream).poll_read(cx, &mut read)) {
                    Ok(()) if !read.filled().is_empty() => *left = left.saturating_sub(read.filled().len()),
                    _ => break,
                }
            }
        }
        this.closing = Closing::Closed;
        Poll::Ready(Ok(()))
    }
}

/// An answer that broke off must not look complete: the client gets a reset, not an end. Else hyper has let go without a
/// goodbye (it does after an offer to change the protocol that nobody took): it is said here.
impl Drop for ClientIo {
    fn drop(&mut self) {
        let (Some(stream), Closing::Open) = (self.stream.take(), &self.closing) else { return };
        if self.phase.is_broken() {
            // The socket may be gone already.
            let _ = SockRef::from(stream.socket()).set_linger(Some(Duration::ZERO));
        } else if tokio::runtime::Handle::try_current().is_ok() {
            tasks::spawn("goodbye", async move { say_goodbye(stream, &[]).await });
        }
    }
}
