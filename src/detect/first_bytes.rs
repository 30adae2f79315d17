//! Reads a stream until it is known what it speaks.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::{Instant, timeout_at};

use super::{Signature, Step, detect};
use crate::access::Protocol;

/// A stream's beginning: what it says, and the bytes themselves, which have to go first to whoever gets the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detected {
    pub signature: Signature,
    pub bytes: Bytes,
    pub stop: Stop,
}

/// Why reading stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Enough was known.
    Recognised,
    /// The time was over: an answer, not an error.
    TimedOut,
    /// The peer closed its side.
    Closed,
    /// The limit of bytes was reached.
    Full,
}

/// Reads until the protocol is known, `within` is over, the peer closes or `limit` bytes were read.
/// An error is the stream's own: a reset, mostly.
pub async fn read_first_bytes<S>(stream: &mut S, within: Duration, limit: usize) -> io::Result<Detected>
where
    S: AsyncRead + Unpin,
{
    let deadline = Instant::now() + within;
    let mut bytes = BytesMut::with_capacity(2048);
    loop {
        let read = match timeout_at(deadline, stream.read_buf(&mut bytes)).await {
            Err(_) => {
                return Ok(Detected {
                    signature: Signature::of(Protocol::Silent),
                    bytes: bytes.freeze(),
                    stop: Stop::TimedOut,
                });
            }
            Ok(read) => read?,
        };
        if read == 0 {
            return Ok(Detected {
                signature: Signature::of(Protocol::Silent),
                bytes: bytes.freeze(),
                stop: Stop::Closed,
            });
        }
        if let Step::Done(signature) = detect(&bytes) {
            return Ok(Detected { signature, bytes: bytes.freeze(), stop: Stop::Recognised });
        }
        if bytes.len() >= limit {
            return Ok(Detected { signature: Signature::of(Protocol::Other), bytes: bytes.freeze(), stop: Stop::Full });
        }
    }
}
