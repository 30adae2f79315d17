//! What a flow was judged by, kept to tell whether another one begins between the same two.
//!
//! Datagrams have no connection: behind a first packet that was judged another may begin another connection of QUIC, with
//! another name. Such a one is judged and written down like a flow that begins.

use bytes::Bytes;

use crate::access::Carrier;
use crate::detect::{self, Datagrams, Signature, Step};

use super::hearing::HELD_MAX_BYTES;

/// The beginning of a flow.
#[derive(Debug)]
pub struct Watch {
    pub signature: Signature,
    detector: Datagrams,
    /// Of a hello that is not whole, and may be another's.
    held: Vec<Bytes>,
}

/// What one more datagram is.
#[derive(Debug)]
pub enum Watched {
    /// Of the same flow; so is what was held until now.
    Same(Vec<Bytes>),
    /// Not known yet: it is held.
    Held,
    /// Nobody can know what it names.
    Foreign,
    /// These begin another flow.
    Another(Vec<Bytes>),
}

impl Watch {
    pub fn new(signature: Signature, detector: Datagrams) -> Self {
        // What a faulty beginning has left is of no use.
        let detector = if signature.fault.is_some() { Datagrams::default() } else { detector };
        Watch { signature, detector, held: Vec::new() }
    }

    pub fn is_quic(&self) -> bool {
        self.signature.protocol.carrier() == Carrier::Quic
    }

    pub fn look(&mut self, datagram: &[u8]) -> Watched {
        if !detect::begins_quic(datagram) {
            return Watched::Same(Vec::new());
        }
        if !self.is_quic() {
            return self.another(datagram);
        }
        if detect::quic_version_negotiation(datagram).is_some() {
            return Watched::Foreign;
        }
        if self.signature.fault.is_some() {
            // Refused whatever it is; only one that names itself in one datagram is another.
            return match detect::detect_datagram(datagram) {
                Step::Done(signature) if signature.fault.is_none() => self.another(datagram),
                _ => Watched::Same(Vec::new()),
            };
        }
        let before = self.detector.connections();
        let step = self.detector.look(datagram);
        if self.detector.connections() != before {
            self.held.clear();
        }
        let held: usize = self.held.iter().map(Bytes::len).sum();
        match step {
            Step::Need if held + datagram.len() <= HELD_MAX_BYTES => {
                self.held.push(Bytes::copy_from_slice(datagram));
                Watched::Held
            }
            Step::Done(signature) if signature == self.signature => Watched::Same(std::mem::take(&mut self.held)),
            Step::Done(_) | Step::Need => self.another(datagram),
        }
    }

    fn another(&mut self, datagram: &[u8]) -> Watched {
        let mut others = std::mem::take(&mut self.held);
        others.push(Bytes::copy_from_slice(datagram));
        Watched::Another(others)
    }
}
