//! A ClientHello in the clothes of SSL 2 (RFC 5246 appendix E.2), which some servers still take as an offer of TLS.
//! It has no extensions and so no server name.

use super::guess::Guess;
use super::{Signature, TlsVersion};
use crate::access::Protocol;

const CLIENT_HELLO: u8 = 1;

/// `bytes` starts with the high bit set: a record header of two bytes.
pub(super) fn look(bytes: &[u8]) -> Guess<Signature> {
    let known = |i: usize, may: fn(u8) -> bool| bytes.get(i).is_none_or(|&b| may(b));
    if !(known(2, |b| b == CLIENT_HELLO) && known(3, |b| b == 0 || b == 3) && known(4, |b| b <= 4)) {
        return Guess::No;
    }
    let Some(&[high, low, _, major, minor, c1, c0, s1, s0, r1, r0]) = bytes.first_chunk::<11>() else {
        return Guess::Perhaps;
    };
    let length = usize::from(u16::from_be_bytes([high & 0x7f, low]));
    let ciphers = usize::from(u16::from_be_bytes([c1, c0]));
    let session = usize::from(u16::from_be_bytes([s1, s0]));
    let challenge = usize::from(u16::from_be_bytes([r1, r0]));
    let adds_up = length == 9 + ciphers + session + challenge;
    let makes_sense = ciphers > 0 && ciphers % 3 == 0 && matches!(session, 0 | 16) && (16..=32).contains(&challenge);
    match TlsVersion::from_wire(u16::from_be_bytes([major, minor])) {
        Some(version) if adds_up && makes_sense => {
            Guess::Yes(Signature { version: Some(version), ..Signature::of(Protocol::Tls) })
        }
        _ => Guess::No,
    }
}
