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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::quic_clients::{crypto, hello, initial, short_initial};

    fn watch(first: &[u8]) -> Watch {
        let mut detector = Datagrams::default();
        let Step::Done(signature) = detector.look(first) else { panic!("a whole hello") };
        Watch::new(signature, detector)
    }

    /// A first packet of another connection, in a datagram of its own.
    fn other(frames: &[u8]) -> Vec<u8> {
        [&short_initial(&[7; 8], frames)[..], &[0; 1200]].concat()
    }

    #[test]
    fn pieces_of_another_connection_never_go_on_in_the_name_of_this_one() {
        let allowed = initial(1, 0, &crypto(0, &hello("allowed.example")));
        let refused = hello("refused.example");
        let (front, back) = (other(&crypto(0, &refused[..60])), other(&crypto(60, &refused[60..])));
        let mut watch = watch(&allowed);
        assert!(matches!(watch.look(&back), Watched::Held));
        // The first hello again would have released what is held.
        let Watched::Same(held) = watch.look(&allowed) else { panic!("the same hello") };
        assert!(held.is_empty());
        assert!(matches!(watch.look(&front), Watched::Held));
        let Watched::Another(others) = watch.look(&back) else { panic!("another's hello is whole") };
        assert_eq!(others, [front, back]);
    }

    #[test]
    fn the_same_hello_by_a_new_destination_is_the_same_flow() {
        // As after a Retry, and in two packets.
        let said = hello("allowed.example");
        let mut watch = watch(&initial(1, 0, &crypto(0, &said)));
        let (front, back) = (other(&crypto(0, &said[..60])), other(&crypto(60, &said[60..])));
        assert!(matches!(watch.look(&front), Watched::Held));
        let Watched::Same(held) = watch.look(&back) else { panic!("the same hello") };
        assert_eq!(held, [front]);
        assert!(matches!(watch.look(b"\x40 what comes later"), Watched::Same(held) if held.is_empty()));
    }

    #[test]
    fn what_is_held_and_what_is_remembered_is_bounded() {
        let mut watch = watch(&initial(1, 0, &crypto(0, &hello("allowed.example"))));
        let piece = [&other(&crypto(9000, b"far"))[..], &[0; 60_000]].concat();
        assert!(matches!(watch.look(&piece), Watched::Another(others) if others.len() == 1), "it is not held");
        let mut broken = Datagrams::default();
        assert_eq!(broken.look(&other(&crypto(9000, b"far"))), Step::Need);
        let mut refused = Watch::new(broken.conclude(detect::Fault::Incomplete), broken);
        for _ in 0..100 {
            assert!(matches!(refused.look(&other(&crypto(9000, b"far"))), Watched::Same(held) if held.is_empty()));
        }
        let named = initial(1, 0, &crypto(0, &hello("allowed.example")));
        assert!(matches!(refused.look(&named), Watched::Another(_)));
    }
}
