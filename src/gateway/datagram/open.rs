//! A flow that passes, watched for what it was not judged by.

use std::sync::Arc;

use bytes::Bytes;

use crate::access::{Access, Protocol};
use crate::detect::{self, Step};
use crate::relay::{DatagramRelay, Handed, RelayEnd};

use super::super::{Gateway, judge, transparent};
use super::watch::{Watch, Watched};

/// An allowed flow.
#[derive(Debug)]
pub struct Open {
    pub relay: Arc<DatagramRelay>,
    access: Access,
    watch: Watch,
    /// Protocols that it was judged by, one bit each.
    judged: u64,
}

/// What became of a datagram.
#[derive(Debug)]
pub enum Passed {
    On,
    /// It passes no more, and who sends these is to be told.
    Unheard,
    /// It is over; these begin another one.
    Anew(Vec<Bytes>),
}

impl Open {
    pub fn new(relay: Arc<DatagramRelay>, access: Access, watch: Watch) -> Self {
        let judged = bit(watch.signature.protocol);
        Open { relay, access, watch, judged }
    }

    /// What it was judged by, of a flow that is over.
    pub fn into_watch(self) -> Watch {
        self.watch
    }

    pub fn pass(&mut self, datagram: &[u8], gateway: &Gateway) -> Passed {
        match self.watch.look(datagram) {
            Watched::Held | Watched::Foreign => Passed::On,
            Watched::Another(others) => self.end(others),
            Watched::Same(_) if !self.watch.is_quic() && self.is_refused_as(datagram, gateway) => {
                self.end([Bytes::copy_from_slice(datagram)].into())
            }
            Watched::Same(held) => {
                for held in held {
                    self.relay.hand(&held);
                }
                self.hand(datagram)
            }
        }
    }

    /// Whether a datagram begins a protocol that the flow was not judged by, and that is refused.
    fn is_refused_as(&mut self, datagram: &[u8], gateway: &Gateway) -> bool {
        let Step::Done(signature) = detect::detect_datagram(datagram) else { return false };
        let other_name = signature.sni.is_some() && signature.sni != self.watch.signature.sni;
        if !other_name && (signature.protocol == Protocol::Other || self.judged & bit(signature.protocol) != 0) {
            return false;
        }
        let mut access = self.access.clone();
        let snapshot = gateway.snapshot.load();
        transparent::learn(&mut access, &signature, gateway.ech_of(&snapshot, &signature));
        let refused = judge::connection(&snapshot, &access).is_err();
        if !refused {
            self.judged |= bit(signature.protocol);
        }
        // A name of its own makes it another access.
        refused || other_name
    }

    fn hand(&self, datagram: &[u8]) -> Passed {
        match self.relay.hand(datagram) {
            Handed::On => Passed::On,
            Handed::Over { unheard: true } => Passed::Unheard,
            Handed::Over { unheard: false } => Passed::Anew([Bytes::copy_from_slice(datagram)].into()),
        }
    }

    fn end(&self, others: Vec<Bytes>) -> Passed {
        self.relay.end(RelayEnd::Complete, false);
        Passed::Anew(others)
    }
}

fn bit(protocol: Protocol) -> u64 {
    1 << protocol as u32
}
