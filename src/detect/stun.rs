//! STUN and TURN (RFC 8489 §5): two zero bits, a length in words of four, and the magic cookie. The older form without a
//! cookie (RFC 3489) is not told from chance.

use super::guess::Guess;

const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const HEADER: usize = 20;

/// Over TCP, bare or framed by its length (RFC 4571).
pub(super) fn client(bytes: &[u8]) -> Guess {
    let framed = Guess::at(bytes, 0, |length: [u8; 2]| usize::from(u16::from_be_bytes(length)) >= HEADER);
    message(bytes).or(framed.and(message(bytes.get(2..).unwrap_or_default())))
}

pub(super) fn datagram(bytes: &[u8]) -> Guess {
    let length = bytes.get(2..4).map(|length| usize::from(length[0]) * 0x100 + usize::from(length[1]));
    match message(bytes) {
        Guess::Yes(()) => Guess::when(length.is_some_and(|length| bytes.len() >= HEADER + length)),
        _ => Guess::No,
    }
}

fn message(bytes: &[u8]) -> Guess {
    let kind = Guess::at(bytes, 0, |[kind]| kind < 0x40);
    let length = Guess::at(bytes, 3, |[low]| low % 4 == 0);
    kind.and(length).and(Guess::at(bytes, 4, |cookie| cookie == COOKIE))
}

#[cfg(test)]
mod tests {
    use crate::access::Protocol::{Other, Stun};
    use crate::detect::tests::{from_client, in_datagram};

    #[test]
    fn a_call_looking_for_its_way_is_told_by_the_magic_cookie() {
        let binding = [&[0, 1, 0, 8, 0x21, 0x12, 0xa4, 0x42][..], &[7; 12], &[0, 6, 0, 4, 1, 2, 3, 4]].concat();
        assert_eq!(in_datagram(&binding), Stun);
        assert_eq!(from_client(&binding), Stun);
        let framed = [&(binding.len() as u16).to_be_bytes(), &binding[..]].concat();
        assert_eq!(from_client(&framed), Stun);
        let mut no_cookie = binding.clone();
        no_cookie[4] = 0;
        let mut odd = binding.clone();
        odd[3] = 7;
        for not in [&no_cookie, &odd, &binding[..20]] {
            assert_eq!(in_datagram(not), Other);
        }
    }
}
