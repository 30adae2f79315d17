//! Bytes moved unseen between client and origin.
//!
//! [`relay`] copies both ways until both sides have finished, one breaks off, or a limit of time is over. It demands a
//! `RelayPermit`: no byte reaches an origin that policy has not let through. It knows no protocol and looks at nothing.
//!
//! An idle relay holds no buffer: bytes pass through one of the thread's own, and only what the receiver does not take
//! at once is kept, no more than one buffer each way (9,000 idle tunnels are a normal afternoon).
//!
//! Type to read first: [`RelayEnd`].

mod direction;
mod timer;

#[cfg(test)]
mod tests;

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::access::Ending;
use crate::policy::RelayPermit;
use direction::{Break, Direction};
use timer::Timer;

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

/// Moves bytes both ways until it ends. Dropping the future cuts both sides and `counts` stays true.
///
/// Streams may be lent (`&mut stream`): a caller that wants one side to see that the other broke off, and no clean end,
/// keeps them and closes with `set_zero_linger`.
pub async fn relay<C, O>(
    _permit: RelayPermit,
    mut client: C,
    mut origin: O,
    limits: RelayLimits,
    counts: &Counts,
) -> RelayEnd
where
    C: AsyncRead + AsyncWrite + Unpin,
    O: AsyncRead + AsyncWrite + Unpin,
{
    let mut flow = Flow { up: Direction::default(), down: Direction::default() };
    let mut timer = Timer::new(limits);
    poll_fn(|cx| {
        let before = (counts.up(), counts.down());
        let end = flow.poll(cx, Pin::new(&mut client), Pin::new(&mut origin), counts);
        if end.is_pending() {
            if before != (counts.up(), counts.down()) {
                timer.moved();
            }
            return timer.poll(cx);
        }
        end
    })
    .await
}

struct Flow {
    up: Direction,
    down: Direction,
}

impl Flow {
    fn poll<C, O>(
        &mut self,
        cx: &mut Context<'_>,
        mut client: Pin<&mut C>,
        mut origin: Pin<&mut O>,
        counts: &Counts,
    ) -> Poll<RelayEnd>
    where
        C: AsyncRead + AsyncWrite,
        O: AsyncRead + AsyncWrite,
    {
        let up = self.up.poll(cx, client.as_mut(), origin.as_mut(), &counts.up);
        if let Poll::Ready(Err(Break::From(kind))) = up {
            return Poll::Ready(RelayEnd::Client(kind));
        }
        let down = self.down.poll(cx, origin, client, &counts.down);
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
