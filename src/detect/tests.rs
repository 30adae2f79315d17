//! The promises of detection: the same answer however the bytes were cut, and none that hurts.

mod corpus;
pub mod hellos;
mod http;
mod mutations;
mod stream;
mod tls;

use super::{Detector, Fault, Signature, Step, detect, detect_datagram, detect_server};
use crate::access::{HostName, Protocol};

/// What a whole beginning is, however it arrives: in one piece, cut in two anywhere, or byte by byte.
#[track_caller]
fn detected(bytes: &[u8]) -> Signature {
    let whole = concluded(&[bytes.len()], bytes);
    for cut in 0..bytes.len() {
        assert_eq!(concluded(&[cut, bytes.len()], bytes), whole, "cut at {cut}");
    }
    let every: Vec<usize> = (1..=bytes.len()).collect();
    assert_eq!(concluded(&every, bytes), whole, "byte by byte");
    whole
}

/// The answer when the bytes arrive up to each of these ends in turn, and then no more.
fn concluded(ends: &[usize], bytes: &[u8]) -> Signature {
    let mut detector = Detector::default();
    for &end in ends {
        let step = detector.look(&bytes[..end]);
        assert_eq!(step, detect(&bytes[..end]), "started over and read on disagree at {end}");
        if let Step::Done(signature) = step {
            return signature;
        }
    }
    detector.conclude(bytes, Fault::Incomplete)
}

pub fn name(text: &str) -> Option<HostName> {
    Some(HostName::parse(text).unwrap())
}

fn other() -> Signature {
    Signature::of(Protocol::Other)
}

/// What a client's first bytes are, however they are cut.
#[track_caller]
pub fn from_client(bytes: impl AsRef<[u8]>) -> Protocol {
    detected(bytes.as_ref()).protocol
}

/// What a server's first bytes are; the same answer for every beginning that gives one.
#[track_caller]
pub fn from_server(bytes: impl AsRef<[u8]>) -> Protocol {
    let bytes = bytes.as_ref();
    let whole = detect_server(bytes);
    for cut in 0..bytes.len() {
        let step = detect_server(&bytes[..cut]);
        assert!(step == Step::Need || step == whole, "{step:?} after {cut}, {whole:?} in the end");
    }
    match whole {
        Step::Done(signature) => signature.protocol,
        Step::Need => Protocol::Silent,
    }
}

/// What a client's first datagram is.
pub fn in_datagram(bytes: impl AsRef<[u8]>) -> Protocol {
    match detect_datagram(bytes.as_ref()) {
        Step::Done(signature) => signature.protocol,
        Step::Need => Protocol::Silent,
    }
}
