//! Reads a stream until it is known what it speaks.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::{Instant, timeout_at};

use super::{Detector, Fault, Signature, Step};

/// Holds a ClientHello of today (about 1,800 bytes with a post-quantum key share) in one read.
const FIRST_READ: usize = 2048;

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
    /// The time was over: an answer, not an error. Without a byte, the protocol is `Silent`.
    TimedOut,
    /// The peer closed its side: an answer too.
    Closed,
    /// `limit` bytes did not suffice.
    Full,
}

/// Reads until the protocol is known, `within` is over, the peer closes, or `limit` bytes were read (see
/// [`super::FIRST_BYTES_MAX`]). An error is the stream's own: a reset, mostly.
pub async fn read_first_bytes<S>(stream: &mut S, within: Duration, limit: usize) -> io::Result<Detected>
where
    S: AsyncRead + Unpin,
{
    let deadline = Instant::now() + within;
    let mut detector = Detector::default();
    let mut bytes = BytesMut::new();
    let (signature, stop) = loop {
        if bytes.len() >= limit {
            break (detector.conclude(&bytes, Fault::TooLong), Stop::Full);
        }
        bytes.reserve(FIRST_READ.min(limit - bytes.len()));
        let mut room = (&mut *stream).take((limit - bytes.len()) as u64);
        match timeout_at(deadline, room.read_buf(&mut bytes)).await {
            Err(_) => break (detector.conclude(&bytes, Fault::Incomplete), Stop::TimedOut),
            Ok(Ok(0)) => break (detector.conclude(&bytes, Fault::Incomplete), Stop::Closed),
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(error),
        }
        if let Step::Done(signature) = detector.look(&bytes) {
            break (signature, Stop::Recognised);
        }
    };
    Ok(Detected { signature, bytes: bytes.freeze(), stop })
}
