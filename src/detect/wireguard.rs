//! WireGuard (protocol page, §5.4): a type, three zero bytes, and lengths that nothing else has. Its disguised descendants
//! (AmneziaWG) change just that.

use super::guess::Guess;

const INITIATION: usize = 148;
const RESPONSE: usize = 92;
const COOKIE: usize = 64;
/// Header and tag of a packet without content, as keep-alives are.
const DATA_MIN: usize = 32;

pub(super) fn datagram(bytes: &[u8]) -> Guess {
    let Some((&[kind, 0, 0, 0], _)) = bytes.split_first_chunk::<4>() else { return Guess::No };
    Guess::when(match (kind, bytes.len()) {
        (1, INITIATION) | (2, RESPONSE) | (3, COOKIE) => true,
        // Content is padded to 16 bytes. A counter over 2³² would be a flow that is days old.
        (4, length) => length >= DATA_MIN && length % 16 == 0 && bytes[12..16] == [0; 4],
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use crate::access::Protocol::{Other, WireGuard};
    use crate::detect::tests::in_datagram;

    fn packet(kind: u8, length: usize) -> Vec<u8> {
        let mut packet = vec![kind, 0, 0, 0, 1, 2, 3, 4, 19, 0, 0, 0, 0, 0, 0, 0];
        packet.resize(length, 0xc3);
        packet
    }

    #[test]
    fn a_tunnel_of_wireguard_is_told_by_type_and_length() {
        for (kind, length) in [(1, 148), (2, 92), (3, 64), (4, 32), (4, 96)] {
            assert_eq!(in_datagram(&packet(kind, length)), WireGuard, "{kind} {length}");
        }
        for (kind, length) in [(1, 147), (2, 148), (5, 148), (4, 97), (4, 16), (0, 148)] {
            assert_eq!(in_datagram(&packet(kind, length)), Other, "{kind} {length}");
        }
    }
}
