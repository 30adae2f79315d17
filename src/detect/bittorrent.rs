//! BitTorrent: the handshake between peers (BEP 3), the distributed table (BEP 5), trackers over UDP (BEP 15) and uTP
//! (BEP 29). A peer that encrypts (MSE) looks like nothing at all.

use super::guess::{Guess, holds};

pub(super) fn client(bytes: &[u8]) -> Guess {
    Guess::begins(bytes, b"\x13BitTorrent protocol")
}

pub(super) fn datagram(bytes: &[u8]) -> Guess {
    Guess::when(is_table(bytes) || is_tracker(bytes) || is_utp(bytes))
}

/// A message of the table: a bencoded dictionary with the sender's id and the kind of message.
fn is_table(bytes: &[u8]) -> bool {
    let starts: [&[u8]; 5] = [b"d1:a", b"d1:r", b"d1:e", b"d2:ip", b"d1:v"];
    starts.iter().any(|start| bytes.starts_with(start))
        && bytes.ends_with(b"e")
        && [&b"1:y1:q"[..], b"1:y1:r", b"1:y1:e"].iter().any(|kind| holds(bytes, kind))
}

/// A connect request: a constant, action 0 and a number of its own.
fn is_tracker(bytes: &[u8]) -> bool {
    bytes.len() == 16 && bytes.starts_with(&[0, 0, 4, 0x17, 0x27, 0x10, 0x19, 0x80, 0, 0, 0, 0])
}

/// The SYN of uTP: version 1, type 4, sequence 1, nothing acknowledged and no delay measured yet.
fn is_utp(bytes: &[u8]) -> bool {
    let Some(header) = bytes.first_chunk::<20>() else { return false };
    let [0x41, extension @ 0..=2, ..] = header else { return false };
    let (delay, window, sequence) = (&header[8..12], &header[12..16], &header[16..18]);
    let alone = *extension != 0 || bytes.len() == 20;
    alone && delay == [0; 4] && window != [0; 4] && sequence == [0, 1]
}

#[cfg(test)]
mod tests {
    use crate::access::Protocol::{BitTorrent, Other};
    use crate::detect::tests::{from_client, in_datagram};

    #[test]
    fn file_sharing_is_told_over_tcp_and_udp() {
        assert_eq!(from_client(b"\x13BitTorrent protocol\0\0\0\0\0\x10\0\x05"), BitTorrent);
        let ping = b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe";
        let tracker = b"\0\0\x04\x17\x27\x10\x19\x80\0\0\0\0\x12\x34\x56\x78";
        let syn = b"\x41\0\x12\x34\0\0\x10\0\0\0\0\0\0\x10\0\0\0\x01\0\0";
        for first in [&ping[..], tracker, syn] {
            assert_eq!(in_datagram(first), BitTorrent);
        }
        assert_eq!(from_client(b"\x13Bittorrent protocol"), Other);
        for not in [&b"d1:ad2:id20:abcdefghij0123456789e"[..], &tracker[..15], &syn[..19], b"\x41"] {
            assert_eq!(in_datagram(not), Other);
        }
    }
}
