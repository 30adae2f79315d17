//! IKE, which opens IPsec (RFC 7296 §3.1, RFC 2408 §3.1): the first message has no responder yet, the number 0, and says its
//! own length. Behind an address translator four zero bytes come first (RFC 3948 §2.2).

use super::guess::Guess;

/// IKE 1: main and aggressive mode; IKE 2: IKE_SA_INIT.
const V1_MODES: [u8; 2] = [2, 4];
const V2_INIT: u8 = 34;

pub(super) fn datagram(bytes: &[u8]) -> Guess {
    Guess::when(is_first(bytes) || bytes.strip_prefix(&[0; 4]).is_some_and(is_first))
}

fn is_first(bytes: &[u8]) -> bool {
    let Some(header) = bytes.first_chunk::<28>() else { return false };
    let [_, _, _, _, _, _, _, _, responder @ .., _, version, exchange, _, _, _, _, _, a, b, c, d] = header;
    let opens = match version {
        0x10 => V1_MODES.contains(exchange),
        0x20 => *exchange == V2_INIT,
        _ => false,
    };
    let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
    opens && header[..8] != [0; 8] && *responder == [0; 8] && header[20..24] == [0; 4] && length == bytes.len()
}

#[cfg(test)]
mod tests {
    use crate::access::Protocol::{Ike, Other};
    use crate::detect::tests::in_datagram;

    fn message(version: u8, exchange: u8) -> Vec<u8> {
        let mut message = [&[7; 8][..], &[0; 8], &[33, version, exchange, 8], &[0; 4], &64u32.to_be_bytes()].concat();
        message.resize(64, 1);
        message
    }

    #[test]
    fn ipsec_is_told_by_its_first_message() {
        for (version, exchange) in [(0x20, 34), (0x10, 2), (0x10, 4)] {
            let first = message(version, exchange);
            assert_eq!(in_datagram(&first), Ike);
            assert_eq!(in_datagram(&[&[0; 4], &first[..]].concat()), Ike, "behind a translator");
        }
        let mut answered = message(0x20, 34);
        answered[8] = 1;
        let longer = [&message(0x20, 34)[..], &[0]].concat();
        for not in [&answered, &longer, &message(0x30, 34), &message(0x20, 2)] {
            assert_eq!(in_datagram(not), Other);
        }
    }
}
