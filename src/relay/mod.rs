//! Bytes moved unseen between client and origin.
//!
//! [`relay`] copies both ways until both sides have finished, one breaks off, or a limit of time is over. It demands a
//! `RelayPermit`: no byte reaches an origin that policy has not let through. It knows no protocol and looks at nothing.
//!
//! Between two sockets the kernel moves what is large, through a pipe (`splice(2)`); the rest is copied, and all of it
//! where splice cannot serve or no pipe is to be had.
//!
//! An idle relay holds no buffer and no pipe: bytes pass through a buffer of the thread's or a pipe that is lent, and only
//! what the receiver does not take at once is kept, no more than one of either each way (9,000 idle tunnels are a normal
//! afternoon). It is woken once an idle limit, to see whether anything moved since.
//!
//! Datagrams are another matter: [`DatagramRelay`].
//!
//! Type to read first: [`RelayEnd`].

mod datagrams;
mod direction;
mod pipes;
mod timer;

#[cfg(test)]
mod tests;

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::access::Ending;
use crate::policy::RelayPermit;
use direction::{Break, Counters, Direction};
use timer::Timer;

pub use datagrams::{DatagramRelay, Handed};
pub use pipes::{allow_pipes, open_pipes};

/// What a relay moves bytes between.
pub trait Stream: AsyncRead + AsyncWrite + Unpin {
    /// The socket that this is, and nothing but it: then bytes may pass by this type, inside the kernel.
    fn socket(&self) -> Option<&TcpStream>;
}

impl Stream for TcpStream {
    fn socket(&self) -> Option<&TcpStream> {
        Some(self)
    }
}

/// One side of a relay.
#[derive(Debug)]
pub struct Side<S> {
    /// What was read of it already: it goes before the rest.
    pub first: Bytes,
    pub stream: S,
}

/// How long a relay may last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelayLimits {
    /// Without a byte in either direction.
    pub idle: Duration,
    /// From beginning to end.
    pub total: Option<Duration>,
}

/// Bytes moved so far, exact, readable while the relay runs.
#[derive(Debug, Default)]
pub struct Counts {
    up: AtomicU64,
    down: AtomicU64,
}

impl Counts {
    /// Bytes handed to the origin's socket.
    pub fn up(&self) -> u64 {
        self.up.load(Ordering::Relaxed)
    }

    /// Bytes handed to the client's socket.
    pub fn down(&self) -> u64 {
        self.down.load(Ordering::Relaxed)
    }

    /// Counts bytes that went to the origin by another way than the relay.
    pub fn add_up(&self, n: u64) {
        self.up.fetch_add(n, Ordering::Relaxed);
    }

    /// Counts bytes that came from the origin by another way than the relay.
    pub fn add_down(&self, n: u64) {
        self.down.fetch_add(n, Ordering::Relaxed);
    }
}

/// Who ended a relay, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelayEnd {
    /// Both sides had finished.
    Complete,
    /// The client broke off.
    Client(io::ErrorKind),
    /// The origin broke off.
    Origin(io::ErrorKind),
    /// Nothing moved for the idle limit.
    Idle,
    /// The total limit was reached.
    Total,
}

impl RelayEnd {
    /// The word for it in the log.
    pub fn ending(self) -> Ending {
        match self {
            RelayEnd::Complete => Ending::Complete,
            RelayEnd::Client(_) => Ending::ClientClosed,
            RelayEnd::Origin(_) => Ending::OriginClosed,
            RelayEnd::Idle | RelayEnd::Total => Ending::TimedOut,
        }
    }
}

/// Who is told, while a relay runs, how much it has moved.
#[derive(Debug, Clone, Copy)]
pub struct Tally<'a> {
    /// What was handed to either side.
    pub access: &'a Counts,
    /// What went over the origin's connection, where that has a count of its own: handed to it, and read from it.
    pub link: Option<&'a Counts>,
}

/// Moves bytes both ways until it ends. Dropping the future cuts both sides and the counts stay true.
pub fn relay<'a, C: Stream, O: Stream>(
    _permit: RelayPermit,
    client: Side<C>,
    origin: Side<O>,
    limits: RelayLimits,
    tally: Tally<'a>,
) -> Relay<'a, C, O> {
    Relay {
        client: client.stream,
        origin: origin.stream,
        up: Direction::new(client.first),
        down: Direction::new(origin.first),
        timer: Timer::new(limits),
        tally,
    }
}

/// A relay that runs. Written out and not an `async fn`, which holds its arguments twice: there are thousands of these.
#[derive(Debug)]
pub struct Relay<'a, C, O> {
    client: C,
    origin: O,
    up: Direction,
    down: Direction,
    timer: Timer,
    tally: Tally<'a>,
}

impl<C: Stream, O: Stream> Future for Relay<'_, C, O> {
    type Output = RelayEnd;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<RelayEnd> {
        let this = self.get_mut();
        let moved = |tally: &Tally<'_>| (tally.access.up(), tally.access.down());
        let before = moved(&this.tally);
        let end = this.poll_both(cx);
        if end.is_ready() {
            return end;
        }
        if before != moved(&this.tally) {
            this.timer.moved();
        }
        this.timer.poll(cx)
    }
}

impl<C: Stream, O: Stream> Relay<'_, C, O> {
    fn poll_both(&mut self, cx: &mut Context<'_>) -> Poll<RelayEnd> {
        let Tally { access, link } = self.tally;
        let counters = Counters { read: None, written: [Some(&access.up), link.map(|link| &link.up)] };
        let up = self.up.poll(cx, &mut self.client, &mut self.origin, &counters);
        if let Poll::Ready(Err(Break::From(kind))) = up {
            return Poll::Ready(RelayEnd::Client(kind));
        }
        let counters = Counters { read: link.map(|link| &link.down), written: [Some(&access.down), None] };
        let down = self.down.poll(cx, &mut self.origin, &mut self.client, &counters);
        match (up, down) {
            (_, Poll::Ready(Err(Break::To(kind)))) => Poll::Ready(RelayEnd::Client(kind)),
            (_, Poll::Ready(Err(Break::From(kind)))) => Poll::Ready(RelayEnd::Origin(kind)),
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => Poll::Ready(RelayEnd::Complete),
            // An origin that takes no more may have answered already (a refused upload): the answer is brought first.
            (Poll::Ready(Err(Break::To(kind))), Poll::Ready(Ok(()))) => Poll::Ready(RelayEnd::Origin(kind)),
            _ => Poll::Pending,
        }
    }
}
