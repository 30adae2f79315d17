//! QUIC (RFC 9000, RFC 9369, RFC 9001): its first packets are sealed with keys that anybody can derive, so the ClientHello in
//! them can be read. A client may spread it over several packets, out of order and twice; [`Initial`] puts it together.
//!
//! Google's own QUIC, which came before, is known by sight ([`google`]). Type to read first: [`Initial`].

mod crypto;
mod google;
mod keys;
mod packet;
mod refusal;

use super::Step;
use super::client_hello::{ClientHello, Form};
use super::signature::{Alpn, Fault, Signature};
use super::tls::{CLIENT_HELLO, MESSAGE_HEADER, message_end};
use crate::access::Protocol;

use crypto::{CRYPTO_MAX, Crypto};
use keys::{Keys, Sender};
use packet::{Header, Version};

pub use refusal::{refusal, version_negotiation};

/// How many datagrams are waited for: browsers of today need two.
const DATAGRAMS_MAX: u8 = 8;

/// The Initial packets of one client, as far as they came.
#[derive(Debug, Default)]
pub(super) struct Initial {
    keys: Option<Keys>,
    crypto: Crypto,
    datagrams: u8,
    /// How often the keys were others.
    pub connections: u32,
}

/// Whether a client's first datagram is QUIC at all. A first packet may stand behind others, which a server skips.
pub(super) fn is_first(datagram: &[u8]) -> bool {
    packet::each(datagram).any(|(header, _)| header.may_be_first(datagram.len())) || google::is_packet(datagram)
}

impl Initial {
    /// One more datagram of a flow whose first was QUIC.
    pub fn look(&mut self, datagram: &[u8]) -> Step {
        self.datagrams = self.datagrams.saturating_add(1);
        match packet::read(datagram).map(|header| header.version) {
            Some(Version::Known(_)) => {}
            // What opens it is not known, or it is no first packet: QUIC all the same.
            Some(Version::Unknown) => return Step::Done(Signature::of(Protocol::Quic)),
            None if self.keys.is_none() => return Step::Done(google::signature(datagram)),
            None => {}
        }
        let answer = self.look_at_packets(datagram).err().or_else(|| self.hello_so_far());
        if let Some(hello) = self.hello() {
            self.crypto.ends_at(MESSAGE_HEADER + hello.len());
        }
        match answer {
            Some(signature) => Step::Done(signature),
            None if self.datagrams >= DATAGRAMS_MAX => Step::Done(self.conclude(Fault::TooLong)),
            None => Step::Need,
        }
    }

    /// What the part of a ClientHello tells that is there.
    pub fn conclude(&self, fault: Fault) -> Signature {
        match self.crypto.front().split_at_checked(MESSAGE_HEADER) {
            Some((&[CLIENT_HELLO, ..], body)) => signature(ClientHello { body, whole: Err(fault), form: Form::Stream }),
            _ => Signature::faulty(Protocol::Quic, fault),
        }
    }

    /// The body of the ClientHello, once it is whole.
    pub fn hello(&self) -> Option<&[u8]> {
        let message = self.crypto.front();
        let end = message_end(*message.first_chunk()?);
        message.get(MESSAGE_HEADER..end).filter(|_| message[0] == CLIENT_HELLO)
    }

    /// Packets follow each other in one datagram (RFC 9000 §12.2). What does not open is dropped, as a server would. Which
    /// of two connections in one a server would take, nobody knows, nor what stands behind too many packets.
    fn look_at_packets(&mut self, datagram: &[u8]) -> Result<(), Signature> {
        let mut opened = false;
        for (n, (header, packet)) in packet::each(datagram).enumerate() {
            let (true, Version::Known(salt), Some(_)) = (header.is_initial, header.version, header.end) else {
                continue;
            };
            let before = self.connections;
            let opens = self.open(salt, &header, packet)?;
            if n >= packet::PACKETS_MAX || (opened && self.connections != before) {
                return Err(self.conclude(Fault::Malformed));
            }
            opened |= opens;
        }
        Ok(())
    }

    /// The keys come from the first packet, and anew from one that they don't open: after a Retry. Says whether it opened.
    fn open(&mut self, salt: keys::Salt, header: &Header<'_>, packet: &[u8]) -> Result<bool, Signature> {
        let mut payload = self.keys.as_ref().and_then(|keys| keys.open(packet, header.number_at));
        if payload.is_none() {
            let keys = Keys::derive(salt, header.destination, Sender::Client);
            payload = keys.as_ref().and_then(|keys| keys.open(packet, header.number_at));
            if payload.is_some() {
                (self.keys, self.crypto) = (keys, Crypto::default());
                self.connections = self.connections.wrapping_add(1);
            }
        }
        let Some(payload) = payload else { return Ok(false) };
        self.crypto.read_frames(&payload).map_err(|fault| self.conclude(fault))?;
        Ok(true)
    }

    fn hello_so_far(&self) -> Option<Signature> {
        let message = self.crypto.front();
        let header = *message.first_chunk()?;
        if header[0] != CLIENT_HELLO {
            return Some(Signature::faulty(Protocol::Quic, Fault::NoHello));
        }
        if message_end(header) > CRYPTO_MAX {
            return Some(self.conclude(Fault::TooLong));
        }
        let body = self.hello()?;
        Some(signature(ClientHello { body, whole: Ok(()), form: Form::Stream }))
    }
}

fn signature(hello: ClientHello<'_>) -> Signature {
    let signature = hello.signature();
    let protocol = if signature.alpn.contains(Alpn::Doq) { Protocol::Doq } else { Protocol::Quic };
    Signature { protocol, ..signature }
}

#[cfg(test)]
pub(super) mod tests;
