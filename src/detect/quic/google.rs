//! Google's QUIC, before the IETF's: gone from browsers since 2021, and still spoken by old applications. Its hello is in clear,
//! a table of tags.

use crate::access::{HostName, Protocol};
use crate::detect::guess::holds;
use crate::detect::signature::{Fault, Signature};

const VERSION: u8 = 0x01;
const CONNECTION_ID: u8 = 0x08;
/// Where a hello begins at the latest: behind the header, a hash and a stream frame's own header.
const HELLO_WITHIN: usize = 64;
/// More tags than any hello has.
const TAGS_MAX: u32 = 64;

/// Flags, 8 bytes of connection, a version as `Q043`; without a version a message of the handshake has to follow.
pub(super) fn is_packet(datagram: &[u8]) -> bool {
    let Some((&flags, rest)) = datagram.split_first() else { return false };
    if flags & 0xc2 != 0 || flags & CONNECTION_ID == 0 {
        return false;
    }
    match flags & VERSION {
        0 => [&b"CHLO"[..], b"REJ\0", b"SHLO"].iter().any(|tag| holds(front(datagram), tag)),
        _ => matches!(rest.get(8..12), Some([b'Q', b'0', b'0'..=b'9', b'0'..=b'9'])),
    }
}

pub(super) fn signature(datagram: &[u8]) -> Signature {
    let mut signature = Signature::of(Protocol::Quic);
    match server_name(datagram).map(|name| std::str::from_utf8(name).map(HostName::parse)) {
        None => {}
        Some(Ok(Ok(name))) => signature.sni = Some(name),
        Some(_) => signature.fault = Some(Fault::BadName),
    }
    signature
}

fn front(datagram: &[u8]) -> &[u8] {
    &datagram[..datagram.len().min(HELLO_WITHIN)]
}

/// `CHLO`, a count, and as many pairs of a tag and where its value ends.
fn server_name(datagram: &[u8]) -> Option<&[u8]> {
    let hello = front(datagram).windows(4).position(|tag| tag == b"CHLO")? + 4;
    let number = |at: usize| datagram.get(at..)?.first_chunk().copied().map(u32::from_le_bytes);
    let count = number(hello)?;
    let values = hello + 4 + 8 * usize::try_from(count.min(TAGS_MAX)).ok()?;
    let mut start = 0;
    for tag in (hello + 4..values).step_by(8) {
        let end = usize::try_from(number(tag + 4)?).ok()?;
        if datagram.get(tag..tag + 4)? == b"SNI\0" {
            return datagram.get(values.checked_add(start)?..values.checked_add(end)?);
        }
        start = end;
    }
    None
}
