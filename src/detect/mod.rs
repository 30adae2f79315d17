//! What a connection speaks, from its first bytes.
//!
//! [`detect`] is pure: the same bytes, however they arrived, give the same answer. It reads what stands in clear and
//! nothing else: it asks no policy, dials nobody and never writes to the connection. [`read_first_bytes`] feeds it from
//! a stream and gives the bytes back with the answer ([`Detected`]); who relays puts them first ([`Prefixed`]). A server that
//! speaks first is read by [`detect_server`], a flow of datagrams by [`Datagrams`].
//!
//! One file per protocol; each says of a beginning whether it is its own ([`guess::Guess`]), and [`readers`] has a row for
//! each. Nothing is guessed from ports, and a beginning that was broken off says so ([`Fault::Incomplete`]) instead of
//! passing as something harmless. What each protocol is recognised by, and what can hide: docs/protocols.md.
//!
//! Type to read first: [`Signature`].

mod bittorrent;
mod client_hello;
mod datagram;
mod dns;
mod doh;
mod dot;
mod dtls;
mod first_bytes;
mod ftp;
mod guess;
mod http1;
mod http2;
mod ike;
mod imap;
mod irc;
mod ja4;
mod mqtt;
mod openvpn;
mod pop3;
mod prefixed;
mod quic;
mod rdp;
mod reader;
mod readers;
mod signature;
mod smb;
mod smtp;
mod socks;
mod ssh;
mod ssl2;
mod stun;
mod tls;
mod tor;
mod vnc;
mod websocket;
mod wireguard;
mod xmpp;

#[cfg(test)]
mod tests;

/// Packets of QUIC clients, for tests of what looks at them.
#[cfg(test)]
pub(crate) mod quic_clients {
    pub(crate) use super::quic::tests::sealed::{crypto, initial};
    pub(crate) use super::quic::tests::{hello, short_initial};
}

use crate::access::Protocol;
use guess::Guess;
use readers::{Readers, read};

pub use datagram::{Datagrams, begins_quic, detect_datagram};
pub use first_bytes::{Detected, Stop, read_first_bytes};
pub use http1::protocol_of_request;
pub use ja4::Ja4;
pub use prefixed::Prefixed;
pub use quic::{refusal as quic_refusal, version_negotiation as quic_version_negotiation};
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

/// Classifies the first bytes that a client sent. Pure; for a stream that grows, [`Detector`] does not start over.
pub fn detect(first_bytes: &[u8]) -> Step {
    Detector::default().look(first_bytes)
}

/// Classifies the first bytes of a server that spoke before its client. Pure and short: what servers begin with is
/// recognised by its first line.
pub fn detect_server(first_bytes: &[u8]) -> Step {
    if first_bytes.is_empty() {
        return Step::Need;
    }
    match read(first_bytes, |readers: Readers| readers.server) {
        Guess::Yes(Protocol::Tls) => Step::Done(Signature::faulty(Protocol::Tls, Fault::NoHello)),
        Guess::Yes(protocol) => Step::Done(Signature::of(protocol)),
        Guess::Perhaps => Step::Need,
        Guess::No => Step::Done(Signature::of(Protocol::Other)),
    }
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
            _ => match self.request.look(bytes) {
                Guess::Yes(protocol) => return Step::Done(Signature::of(protocol)),
                Guess::Perhaps => Guess::Perhaps,
                Guess::No => Guess::No,
            },
        };
        match guess {
            Guess::Yes(signature) => Step::Done(signature),
            Guess::Perhaps => Step::Need,
            Guess::No => look_at_others(bytes),
        }
    }

    /// The answer when no more bytes will come, after [`Step::Need`]. `fault` says why not; it stays where the bytes may still
    /// have begun TLS or HTTP.
    pub fn conclude(&self, bytes: &[u8], fault: Fault) -> Signature {
        match bytes.first() {
            None => Signature::of(Protocol::Silent),
            Some(&(tls::FIRST_TYPE..=tls::LAST_TYPE)) => self.handshake.conclude(bytes, fault),
            Some(0x80..) if ssl2::look(bytes) == Guess::No => Signature::of(Protocol::Other),
            Some(0x80..) => Signature::faulty(Protocol::Other, fault),
            Some(_) => self.request.conclude(bytes, fault),
        }
    }
}

/// Neither TLS nor HTTP.
fn look_at_others(bytes: &[u8]) -> Step {
    match read(bytes, |readers: Readers| readers.client) {
        Guess::Yes(protocol) => Step::Done(Signature::of(protocol)),
        Guess::Perhaps => Step::Need,
        Guess::No => Step::Done(Signature::of(Protocol::Other)),
    }
}
