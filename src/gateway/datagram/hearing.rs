//! The first datagrams of a flow, until they say what it is.

use bytes::Bytes;
use tokio::time::Instant;

use crate::access::{Carrier, Protocol};
use crate::detect::{self, Datagrams, Fault, Signature, Step};
use crate::listen::DivertedDoor;

use super::Ends;

/// Of one flow, until it is known: as many datagrams as are waited for, of the length that they have.
pub const HELD_MAX_BYTES: usize = 12 * 1024;
/// How often a client is told which versions can be opened. One time is enough; datagrams get lost.
const OFFERS_MAX: u8 = 3;

/// A flow that has not said yet what it is.
#[derive(Debug)]
pub struct Hearing {
    pub until: Instant,
    detector: Datagrams,
    held: Vec<Bytes>,
    /// It speaks a version of QUIC that nobody here can open.
    foreign: bool,
    offers: u8,
}

/// All that is known of a flow's beginning.
#[derive(Debug)]
pub struct Heard {
    pub signature: Signature,
    /// What it was read from, in the order in which it came.
    pub datagrams: Vec<Bytes>,
    /// Goes on reading, where one of QUIC might begin another connection.
    pub detector: Datagrams,
}

impl Hearing {
    pub fn new(until: Instant) -> Self {
        Hearing { until, detector: Datagrams::default(), held: Vec::new(), foreign: false, offers: 0 }
    }

    /// One more. `Err`: it is not known yet.
    pub fn hear(mut self, datagram: &[u8], ends: Ends, door: &DivertedDoor) -> Result<Heard, Hearing> {
        // A client that is offered versions which can be opened takes one of them, and so tells the name; or it gives
        // up at once. Without an answer it would try for as long as it has patience.
        if let Some(versions) = detect::quic_version_negotiation(datagram) {
            self.foreign = true;
            if self.offers < OFFERS_MAX {
                self.offers += 1;
                ends.say(door, &versions);
            }
            return Err(self);
        }
        let before = self.detector.connections();
        let step = self.detector.look(datagram);
        // What came before is not of the connection that is judged: it must not go on in its name.
        if self.detector.connections() != before {
            self.held.clear();
        }
        let held: usize = self.held.iter().map(Bytes::len).sum();
        let fits = held + datagram.len() <= HELD_MAX_BYTES;
        match step {
            // What is known by itself may be as long as a datagram can be.
            Step::Done(signature) if fits || signature.protocol.carrier() != Carrier::Quic => {
                self.held.push(Bytes::copy_from_slice(datagram));
                Ok(self.heard(signature))
            }
            Step::Need if fits => {
                self.held.push(Bytes::copy_from_slice(datagram));
                Err(self)
            }
            Step::Done(_) | Step::Need => Ok(self.conclude(Fault::TooLong)),
        }
    }

    /// Nothing more is waited for.
    pub fn conclude(self, fault: Fault) -> Heard {
        let mut signature = self.detector.conclude(fault);
        if self.foreign && signature.protocol == Protocol::Silent {
            // It names somebody, in a language of its own.
            signature = Signature { fault: Some(fault), ..Signature::of(Protocol::Quic) };
        }
        self.heard(signature)
    }

    fn heard(self, signature: Signature) -> Heard {
        Heard { signature, datagrams: self.held, detector: self.detector }
    }
}
