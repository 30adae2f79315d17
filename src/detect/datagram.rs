//! What a flow of datagrams speaks: its first one tells, save QUIC, whose hello may take several.

use super::guess::Guess;
use super::readers::{Readers, read};
use super::{Fault, Ja4, Signature, Step, dtls, quic};
use crate::access::Protocol;

/// A client's datagrams, from the first on.
#[derive(Debug, Default)]
pub struct Datagrams {
    quic: Option<Box<quic::Initial>>,
}

impl Datagrams {
    /// One more datagram of the client.
    pub fn look(&mut self, datagram: &[u8]) -> Step {
        if let Some(initial) = &mut self.quic {
            return initial.look(datagram);
        }
        if quic::is_first(datagram) {
            return self.quic.insert(Box::default()).look(datagram);
        }
        if let Guess::Yes(signature) = dtls::look(datagram) {
            return Step::Done(signature);
        }
        match read(datagram, |readers: Readers| readers.datagram) {
            Guess::Yes(protocol) => Step::Done(Signature::of(protocol)),
            Guess::No | Guess::Perhaps => Step::Done(Signature::of(Protocol::Other)),
        }
    }

    /// The answer when no more will come, after [`Step::Need`]. `fault` says why not.
    pub fn conclude(&self, fault: Fault) -> Signature {
        self.quic.as_ref().map_or(Signature::of(Protocol::Silent), |initial| initial.conclude(fault))
    }

    /// How many connections of QUIC have begun: a datagram that changes it is of another one than those before.
    pub fn connections(&self) -> u32 {
        self.quic.as_ref().map_or(0, |initial| initial.connections)
    }

    /// The fingerprint of a QUIC client whose hello is whole.
    pub fn ja4(&self) -> Option<Ja4> {
        self.quic.as_ref()?.hello().and_then(Ja4::of_quic)
    }
}

/// Whether a datagram begins a connection of QUIC: any version's, a client's first packet.
pub fn begins_quic(datagram: &[u8]) -> bool {
    quic::is_first(datagram)
}

/// Classifies a flow by its first datagram alone.
pub fn detect_datagram(first: &[u8]) -> Step {
    Datagrams::default().look(first)
}
