//! What a connection speaks, from its first bytes.
//!
//! [`detect`] is pure: the same bytes, however they arrived, give the same answer. It reads what stands in clear and
//! nothing else: it asks no policy, dials nobody and never writes to the connection. [`read_first_bytes`] feeds it from
//! a stream and gives the bytes back with the answer ([`Detected`]); who relays puts them first ([`Prefixed`]).
//!
//! One file per protocol; each says of a beginning whether it is its own ([`Guess`]). Nothing is guessed from ports,
//! and a beginning that was broken off says so ([`Fault::Incomplete`]) instead of passing as something harmless.
//!
//! Type to read first: [`Signature`].

mod client_hello;
mod first_bytes;
mod http1;
mod prefixed;
mod signature;
mod ssl2;
mod tls;

#[cfg(test)]
mod tests;

use crate::access::Protocol;

pub use first_bytes::{Detected, Stop, read_first_bytes};
pub use prefixed::Prefixed;
pub use signature::{Alpn, AlpnSet, Ech, Fault, Signature, TlsVersion};

/// No beginning is looked at any further: 64 KiB, the longest ClientHello that servers accept and more than any sends.
pub const FIRST_BYTES_MAX: usize = 64 * 1024;

/// What the bytes so far tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Too early to tell: ask again with these bytes and more.
    Need,
    Done(Signature),
}

/// What one protocol says of a beginning.
enum Guess {
    /// It is not mine, whatever follows.
    No,
    /// It may become mine.
    Perhaps,
    Yes(Signature),
}

/// Classifies the first bytes that a client sent. Pure; for a stream that grows, [`Detector`] does not start over.
pub fn detect(first_bytes: &[u8]) -> Step {
    Detector::default().look(first_bytes)
}

/// The same as [`detect`] over bytes that grow: what was read is not read again, so that a client that sends byte by
/// byte costs no more than one that does not.
#[derive(Debug, Default)]
pub struct Detector {
    handshake: tls::Handshake,
    request: http1::RequestLine,
}

impl Detector {
    /// `bytes` is everything so far, from the first byte on.
    pub fn look(&mut self, bytes: &[u8]) -> Step {
        let Some(&first) = bytes.first() else { return Step::Need };
        let guess = match first {
            tls::FIRST_TYPE..=tls::LAST_TYPE => self.handshake.look(bytes),
            0x80.. => ssl2::look(bytes),
            _ => self.request.look(bytes),
        };
        match guess {
            Guess::Yes(signature) => Step::Done(signature),
            Guess::Perhaps => Step::Need,
            Guess::No => Step::Done(Signature::of(Protocol::Other)),
        }
    }

    /// The answer when no more bytes will come, after [`Step::Need`]. `fault` says why not.
    pub fn conclude(&self, bytes: &[u8], fault: Fault) -> Signature {
        match bytes.first() {
            None => Signature::of(Protocol::Silent),
            Some(&(tls::FIRST_TYPE..=tls::LAST_TYPE)) => self.handshake.conclude(bytes, fault),
            Some(0x80..) => Signature::faulty(Protocol::Other, fault),
            Some(_) => self.request.conclude(bytes, fault),
        }
    }
}
