//! DNS (RFC 1035 §4), multicast and link-local too (RFC 6762, RFC 4795): a message whose first name is one.

use super::guess::Guess;

const HEADER: usize = 12;
/// The shortest question: the root, a type and a class.
const MESSAGE_MIN: usize = HEADER + 5;
const NAME_MAX: usize = 255;
const LABEL_MAX: u8 = 63;

/// Over TCP each message is preceded by its length (RFC 1035 §4.2.2).
pub(super) fn client(bytes: &[u8]) -> Guess {
    let length = Guess::at(bytes, 0, |length: [u8; 2]| usize::from(u16::from_be_bytes(length)) >= MESSAGE_MIN);
    length.and(question(bytes.get(2..).unwrap_or_default()))
}

pub(super) fn datagram(bytes: &[u8]) -> Guess {
    let whole = match question(bytes).or(announcement(bytes)) {
        Guess::Yes(()) => Guess::Yes(()),
        Guess::No | Guess::Perhaps => Guess::No,
    };
    Guess::when(bytes.len() >= MESSAGE_MIN).and(whole)
}

/// A query (opcode 0, no error) with one question and no answers yet.
fn question(message: &[u8]) -> Guess {
    let flags = Guess::at(message, 2, |[high, low]| high & 0xf8 == 0 && low & 0x4f == 0);
    let counts =
        Guess::at(message, 4, |[_, _, a, b, _, _, _, additional]: [u8; 8]| (a, b) == (0, 0) && additional <= 8);
    let one = Guess::at(message, 4, |count| (1..=16).contains(&u16::from_be_bytes(count)));
    flags.and(one).and(counts).and(name_and_class(message))
}

/// What multicast DNS says unasked: number 0, authoritative, answers and no question.
fn announcement(message: &[u8]) -> Guess {
    Guess::begins(message, &[0, 0, 0x84, 0, 0, 0]).and(name_and_class(message))
}

/// The first name, which can't be compressed yet, and a class that exists.
fn name_and_class(message: &[u8]) -> Guess {
    let mut at = HEADER;
    loop {
        match message.get(at) {
            None => return Guess::Perhaps,
            Some(0) => break,
            Some(&length) if length > LABEL_MAX => return Guess::No,
            Some(&length) => at += 1 + usize::from(length),
        }
        if at > HEADER + NAME_MAX {
            return Guess::No;
        }
    }
    // The high bit asks for a unicast answer, or flushes a cache (RFC 6762 §5.4, §10.2).
    Guess::at(message, at + 3, |[high, low]| matches!((high & 0x7f, low), (0, 1 | 3 | 4 | 254 | 255)))
}

#[cfg(test)]
mod tests {
    use crate::access::Protocol::{Dns, Other};
    use crate::detect::tests::{from_client, in_datagram};

    const QUERY: &[u8] = b"\x80\xfb\x01\0\0\x01\0\0\0\0\0\0\x03www\x07example\x02fr\0\0\x1c\0\x01";

    #[test]
    fn a_question_of_dns_is_told_over_tcp_and_udp() {
        let local = b"\0\0\0\0\0\x01\0\0\0\0\0\0\x0b_googlecast\x04_tcp\x05local\0\0\x0c\x80\x01";
        let announced = b"\0\0\x84\0\0\0\0\x01\0\0\0\0\x04lucs\x05local\0\0\x01\x80\x01\0\0\0\x78\0\x04\x0a\0\0\x01";
        for first in [QUERY, local, announced] {
            assert_eq!(in_datagram(first), Dns);
        }
        let framed = [&(QUERY.len() as u16).to_be_bytes(), QUERY].concat();
        assert_eq!(from_client(&framed), Dns);
        let mut answer = QUERY.to_vec();
        answer[2] |= 0x80;
        let mut label = QUERY.to_vec();
        label[12] = 0x40;
        let mut class = QUERY.to_vec();
        *class.last_mut().unwrap() = 9;
        for not in [&answer, &label, &class, &QUERY[..20]] {
            assert_eq!(in_datagram(not), Other);
        }
    }
}
