//! Bytes moved unseen between client and origin.
//!
//! [`relay`] copies both ways until both sides have finished, one breaks off, or a limit of time is over. It demands a
//! `RelayPermit`: no byte reaches an origin that policy has not let through. It knows no protocol and looks at nothing.
//!
//! Type to read first: [`RelayEnd`].

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::access::Ending;
use crate::policy::RelayPermit;

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
    /// Bytes that the origin's side of the gateway took from the client.
    pub fn up(&self) -> u64 {
        self.up.load(Ordering::Relaxed)
    }

    /// Bytes that the client's side took from the origin.
    pub fn down(&self) -> u64 {
        self.down.load(Ordering::Relaxed)
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

/// Moves bytes both ways until it ends. Dropping the future cuts both sides; `counts` stays true.
pub async fn relay<C, O>(_permit: RelayPermit, client: C, origin: O, limits: RelayLimits, counts: &Counts) -> RelayEnd
where
    C: AsyncRead + AsyncWrite + Unpin,
    O: AsyncRead + AsyncWrite + Unpin,
{
    let (mut client, mut origin) = (client, origin);
    match tokio::time::timeout(limits.idle, tokio::io::copy_bidirectional(&mut client, &mut origin)).await {
        Err(_) => RelayEnd::Idle,
        Ok(Err(error)) => RelayEnd::Origin(error.kind()),
        Ok(Ok((up, down))) => {
            counts.up.store(up, Ordering::Relaxed);
            counts.down.store(down, Ordering::Relaxed);
            RelayEnd::Complete
        }
    }
}
